//! The HTTP probe: a `GET` that is answered by 200 to 399.

mod redirect;

use std::collections::BTreeMap;
use std::pin::pin;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, LOCATION, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use stead_model::spec::HttpGetAction;

use super::attempt::{CUT, Fault};
use super::socket;
use redirect::{Next, Target};

/// Asks, and follows redirects within the same host. A redirect to another host is a success of this one, as it is
/// for Kubernetes; so is one to `https`, which is not spoken here.
pub(super) async fn get(action: &HttpGetAction) -> Result<(), Fault> {
    let headers = headers(&action.http_headers)?;
    let mut target = Target::new(action);
    for _ in 0..=REDIRECTS {
        let (status, location) = ask(&target, &headers).await?;
        match location.map(|location| target.next(&location)) {
            Some(Next::Here(next)) => target = next,
            Some(Next::Unreadable(location)) => {
                return Err(Fault::Seen(format!("redirect to `{location}`, which is no URL")));
            }
            Some(Next::Elsewhere) | None => return verdict(status),
        }
    }
    Err(Fault::Seen(format!("more than {REDIRECTS} redirects")))
}

fn verdict(status: StatusCode) -> Result<(), Fault> {
    if (200..400).contains(&status.as_u16()) {
        Ok(())
    } else {
        Err(Fault::Seen(format!("HTTP {}", status.as_u16())))
    }
}

/// One request on a connection of its own; returns the status, and where it redirects to.
async fn ask(target: &Target, headers: &HeaderMap) -> Result<(StatusCode, Option<String>), Fault> {
    let stream = socket::connect(target.host.as_deref(), target.port).await?;
    let mut builder = http1::Builder::new();
    builder.max_buf_size(HEAD);
    let (mut sender, connection) = builder
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| broken(&error))?;
    let request = request(target, headers)?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(|error| broken(&error))?;
        let status = response.status();
        let location = location(&response);
        discard(response.into_body()).await?;
        Ok((status, location))
    };
    let (mut exchange, connection) = (pin!(exchange), pin!(connection));
    tokio::select! {
        biased;
        answer = &mut exchange => answer,
        // The other side is done; how it went comes out of the exchange.
        _ended = connection => exchange.await,
    }
}

fn request(target: &Target, headers: &HeaderMap) -> Result<Request<Empty<Bytes>>, Fault> {
    let unfit = |_invalid| Fault::Seen(format!("path `{}` cannot be asked for", target.path));
    let mut request = Request::get(target.path.as_str()).body(Empty::new()).map_err(unfit)?;
    let host = HeaderValue::from_str(&target.authority());
    let host = host.map_err(|_invalid| Fault::Seen(format!("host `{}` cannot be asked", target.authority())))?;
    request.headers_mut().insert(HOST, host);
    request
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
    request.headers_mut().extend(headers.clone());
    Ok(request)
}

/// The headers of the spec, and what is sent where it does not say.
fn headers(given: &BTreeMap<String, String>) -> Result<HeaderMap, Fault> {
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    for (name, value) in given {
        let pair = HeaderName::from_bytes(name.as_bytes())
            .ok()
            .zip(HeaderValue::from_str(value).ok());
        let (name, value) = pair.ok_or_else(|| Fault::Seen(format!("header `{name}` cannot be sent")))?;
        headers.insert(name, value);
    }
    Ok(headers)
}

fn location(response: &Response<Incoming>) -> Option<String> {
    let redirects = [301, 302, 303, 307, 308];
    let location = response
        .headers()
        .get(LOCATION)
        .filter(|_| redirects.contains(&response.status().as_u16()))?;
    Some(String::from_utf8_lossy(location.as_bytes()).into_owned())
}

/// Reads the body to its end, or as far as anybody should send one to a probe.
async fn discard(mut body: Incoming) -> Result<(), Fault> {
    let mut left = BODY;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken(&error))?;
        let size = frame.data_ref().map_or(0, Bytes::len);
        match left.checked_sub(size) {
            Some(rest) => left = rest,
            None => break,
        }
    }
    Ok(())
}

fn broken(error: &hyper::Error) -> Fault {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<std::io::Error>());
    match source {
        Some(error) => Fault::of(error, ""),
        None if error.is_incomplete_message() || error.is_closed() || error.is_canceled() => Fault::seen(CUT),
        None if error.is_parse() => Fault::seen("the answer is no HTTP"),
        None => Fault::Seen(error.to_string()),
    }
}

/// How probes introduce themselves.
const AGENT: &str = concat!("stead-probe/", env!("CARGO_PKG_VERSION"));

/// How many redirects are followed.
const REDIRECTS: u32 = 10;

/// Longest head of an answer, in bytes.
const HEAD: usize = 64 * 1024;

/// How much of a body is read, in bytes.
const BODY: usize = 10 * 1024;
