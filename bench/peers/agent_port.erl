%% Owns the port of one agent and ends with it.
-module(agent_port).
-behaviour(gen_server).
-export([start_link/3, init/1, handle_call/3, handle_cast/2, handle_info/2]).

start_link(Agent, Fifo, Id) ->
    gen_server:start_link(?MODULE, {Agent, Fifo, Id}, []).

init({Agent, Fifo, Id}) ->
    Args = [Fifo, integer_to_list(Id)],
    {ok, open_port({spawn_executable, Agent}, [{args, Args}, exit_status, binary])}.

handle_call(_Request, _From, Port) ->
    {noreply, Port}.

handle_cast(_Request, Port) ->
    {noreply, Port}.

handle_info({Port, {exit_status, Status}}, Port) ->
    {stop, {agent_ended, Status}, Port};
handle_info(_Other, Port) ->
    {noreply, Port}.
