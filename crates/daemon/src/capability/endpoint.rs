//! Where a provider is asked, and what is sent with it.

use std::collections::BTreeMap;

use hyper::Uri;
use hyper::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE};
use hyper::http::uri::PathAndQuery;
use stead_model::spec::EnvValue;

/// An HTTP endpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Endpoint {
    /// Without the brackets of an IPv6 address.
    pub(super) host: String,
    pub(super) port: u16,
    /// As the header `Host` has it.
    pub(super) authority: HeaderValue,
    pub(super) path: String,
}

impl Endpoint {
    /// Reads an URL.
    ///
    /// # Errors
    /// Says what is wrong with it; what may be a secret in it is not repeated.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|error| format!("`url` cannot be read: {error}"))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => {
                return Err(
                    "`url` is https, which is not spoken here; put a proxy that speaks it on this machine".into(),
                );
            }
            Some(_) | None => return Err("`url` must begin with http://".into()),
        }
        let Some(authority) = uri.authority().filter(|authority| !authority.host().is_empty()) else {
            return Err("`url` names no host".into());
        };
        if authority.as_str().contains('@') {
            return Err(
                "`url` holds a user or password, which everybody would see; send it as a header instead".into(),
            );
        }
        let host = authority.host();
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let written = HeaderValue::from_str(authority.as_str());
        Ok(Self {
            host: bare.unwrap_or(host).to_owned(),
            port: authority.port_u16().unwrap_or(80),
            authority: written.map_err(|_unfit| "`url` names a host that cannot be sent".to_owned())?,
            path: uri.path_and_query().map_or("/", PathAndQuery::as_str).to_owned(),
        })
    }

    /// As it may be shown: its query may hold a key.
    pub(super) fn shown(&self) -> String {
        let path = self.path.split('?').next().unwrap_or_default();
        format!("http://{}{path}", self.authority.to_str().unwrap_or_default())
    }
}

/// One header.
///
/// # Errors
/// Says what is wrong with it, not what its value is.
pub(super) fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), String> {
    let named: HeaderName = name
        .parse()
        .map_err(|_unfit| format!("`{name}` is no name of a header"))?;
    if [CONNECTION, CONTENT_LENGTH, TE, TRANSFER_ENCODING, UPGRADE].contains(&named) {
        return Err(format!(
            "the header `{name}` is not for you to set: it is about the connection"
        ));
    }
    let mut value =
        HeaderValue::from_str(value).map_err(|_unfit| format!("the value of the header `{name}` cannot be sent"))?;
    value.set_sensitive(true);
    Ok((named, value))
}

/// The headers of a provider, those of files as the files are now.
pub(super) async fn headers(given: &BTreeMap<String, EnvValue>) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::with_capacity(given.len() + 8);
    for (name, value) in given {
        let (name, value) = match value {
            EnvValue::Plain(value) | EnvValue::Secret { secret: value } => header(name, value)?,
            EnvValue::File { file } => {
                let read = tokio::fs::read_to_string(file).await;
                let text = read.map_err(|error| format!("the header `{name}` cannot be read: {file}: {error}"))?;
                header(name, text.trim_end_matches(['\r', '\n']))?
            }
        };
        headers.insert(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_url_is_taken_apart_and_shown_without_its_query() {
        for (url, host, port, path, shown) in [
            ("http://h", "h", 80, "/", "http://h/"),
            ("http://h:8080/a/b?key=1", "h", 8080, "/a/b?key=1", "http://h:8080/a/b"),
            ("http://[::1]:1/x", "::1", 1, "/x", "http://[::1]:1/x"),
        ] {
            let read = Endpoint::parse(url).unwrap();
            assert_eq!((read.host.as_str(), read.port, read.path.as_str()), (host, port, path));
            assert_eq!(read.shown(), shown);
        }
    }

    #[test]
    fn an_url_that_cannot_be_asked_is_refused_without_its_secrets() {
        for (url, said) in [
            ("https://h/x", "https"),
            ("ftp://h", "http://"),
            ("/x", "http://"),
            ("h:80", "http://"),
            ("http://ada:hunter2@h/", "password"),
            ("http://", "`url`"),
            ("http://h /", "cannot be read"),
        ] {
            let refused = Endpoint::parse(url).unwrap_err();
            assert!(
                refused.contains(said) && !refused.contains("hunter2"),
                "{url}: {refused}"
            );
        }
    }

    #[test]
    fn a_header_that_cannot_be_sent_is_refused_without_its_value() {
        for (name, value) in [("a b", "x"), ("x-key", "hunter2\n"), ("Content-Length", "7")] {
            let refused = header(name, value).unwrap_err();
            assert!(refused.contains(name) && !refused.contains("hunter2"), "{refused}");
        }
    }
}
