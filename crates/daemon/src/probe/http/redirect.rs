//! Where a redirect leads.

use hyper::Uri;
use stead_model::spec::HttpGetAction;

use crate::probe::socket;

/// What is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Target {
    pub(super) host: Option<String>,
    pub(super) port: u16,
    /// With its query; starts with `/`.
    pub(super) path: String,
}

/// Where a redirect leads.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Next {
    /// To the same host.
    Here(Target),
    /// To another host or scheme, which is not followed.
    Elsewhere,
    /// To something that is no URL.
    Unreadable(String),
}

impl Target {
    pub(super) fn new(action: &HttpGetAction) -> Self {
        let slash = if action.path.starts_with('/') { "" } else { "/" };
        Self {
            host: action.host.clone(),
            port: action.port,
            path: format!("{slash}{}", action.path),
        }
    }

    /// Host and port as the `Host` header has them.
    pub(super) fn authority(&self) -> String {
        format!("{}:{}", socket::in_url(self.host.as_deref()), self.port)
    }

    /// Where `location` leads from here.
    pub(super) fn next(&self, location: &str) -> Next {
        let location = location.split('#').next().unwrap_or_default();
        if let Some(rest) = location.strip_prefix("//") {
            return self.absolute(&format!("http://{rest}"));
        }
        let is_scheme =
            |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
        if location.split_once("://").is_some_and(|(scheme, _)| is_scheme(scheme)) {
            return self.absolute(location);
        }
        let place = self.path.split('?').next().unwrap_or("/");
        Next::Here(self.to(match location.chars().next() {
            None => self.path.clone(),
            Some('/') => location.to_owned(),
            Some('?') => format!("{place}{location}"),
            Some(_) => format!("{}/{location}", place.rsplit_once('/').map_or("", |(folder, _)| folder)),
        }))
    }

    fn absolute(&self, location: &str) -> Next {
        let Ok(uri) = location.parse::<Uri>() else {
            return Next::Unreadable(location.to_owned());
        };
        let own = socket::in_url(self.host.as_deref());
        let here = uri.host().is_some_and(|host| host.eq_ignore_ascii_case(&own));
        if !here || uri.scheme_str() != Some("http") {
            return Next::Elsewhere;
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Next::Here(Self {
            port: uri.port_u16().unwrap_or(80),
            ..self.to(path.to_owned())
        })
    }

    fn to(&self, path: String) -> Self {
        Self { path, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(path: &str) -> Target {
        Target {
            host: None,
            port: 8080,
            path: path.to_owned(),
        }
    }

    fn led_to(location: &str) -> Next {
        target("/health/live?full").next(location)
    }

    #[test]
    fn a_redirect_within_the_host_is_followed_however_it_is_written() {
        for (location, path) in [
            ("/ready", "/ready"),
            ("ready?x#top", "/health/ready?x"),
            ("?brief", "/health/live?brief"),
            ("http://127.0.0.1:8080/ready", "/ready"),
            ("//127.0.0.1:8080/ready", "/ready"),
            ("/to?next=http://elsewhere", "/to?next=http://elsewhere"),
        ] {
            assert_eq!(led_to(location), Next::Here(target(path)), "{location}");
        }
    }

    #[test]
    fn a_redirect_to_another_port_of_the_host_is_followed() {
        let Next::Here(next) = led_to("http://127.0.0.1/") else {
            panic!("not followed")
        };
        assert_eq!((next.port, next.path.as_str()), (80, "/"));
    }

    #[test]
    fn a_redirect_to_another_host_or_scheme_is_not_followed() {
        for location in [
            "http://localhost:8080/ready",
            "https://127.0.0.1:8080/ready",
            "//10.0.0.1/",
        ] {
            assert_eq!(led_to(location), Next::Elsewhere, "{location}");
        }
    }

    #[test]
    fn a_redirect_to_what_is_no_url_is_named() {
        assert_eq!(
            led_to("http://not a host/"),
            Next::Unreadable("http://not a host/".to_owned())
        );
    }

    #[test]
    fn an_address_of_ipv6_stands_in_brackets_and_a_path_begins_with_a_slash() {
        let action = HttpGetAction {
            path: "live".to_owned(),
            port: 1,
            host: Some("::1".to_owned()),
            http_headers: std::collections::BTreeMap::new(),
        };
        let target = Target::new(&action);
        assert_eq!(
            (target.authority(), target.path),
            ("[::1]:1".to_owned(), "/live".to_owned())
        );
    }
}
