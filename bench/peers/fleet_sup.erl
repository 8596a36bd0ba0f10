%% A one_for_one supervisor of agents, each an external program behind a port.
-module(fleet_sup).
-behaviour(supervisor).
-export([main/0, init/1]).

main() ->
    [Agent, Fifo, Count] = init:get_plain_arguments(),
    logger:set_primary_config(level, none),
    {ok, _} = supervisor:start_link({local, ?MODULE}, ?MODULE, {Agent, Fifo, list_to_integer(Count)}),
    unlink(whereis(?MODULE)).

init({Agent, Fifo, Count}) ->
    Flags = #{strategy => one_for_one, intensity => 1000000, period => 1},
    Child = fun(Id) ->
        #{id => Id, start => {agent_port, start_link, [Agent, Fifo, Id]}, restart => permanent}
    end,
    {ok, {Flags, [Child(Id) || Id <- lists:seq(0, Count - 1)]}}.
