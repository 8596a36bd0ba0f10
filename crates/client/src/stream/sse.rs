//! Server-sent events as the HTML standard parses them, as far as Stead uses them.

/// What one line meant.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    /// A part of something.
    Nothing,
    /// The cursor moved without an event.
    Cursor(String),
    /// A whole event.
    Event {
        /// Where to resume behind it.
        cursor: Option<String>,
        /// Its type.
        kind: String,
        /// Its data.
        data: String,
    },
}

/// Fields of the event that is being read. An event that the connection did not complete is never dispatched.
#[derive(Debug, Default)]
pub(super) struct Parser {
    id: Option<String>,
    kind: Option<String>,
    data: Option<String>,
}

impl Parser {
    pub(super) fn line(&mut self, line: &str) -> Parsed {
        if line.is_empty() {
            return self.dispatch();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
            "event" => self.kind = Some(value.to_owned()),
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            // A comment keeps the line alive; `retry` and unknown fields are for others.
            _ => {}
        }
        Parsed::Nothing
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn dispatch(&mut self) -> Parsed {
        let Self { id, kind, data } = std::mem::take(self);
        match (id, data) {
            (cursor, Some(data)) => Parsed::Event {
                cursor,
                kind: kind.unwrap_or_default(),
                data,
            },
            (Some(cursor), None) => Parsed::Cursor(cursor),
            (None, None) => Parsed::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Vec<Parsed> {
        let mut parser = Parser::default();
        let parsed = text.lines().map(|line| parser.line(line));
        parsed.filter(|parsed| *parsed != Parsed::Nothing).collect()
    }

    #[test]
    fn an_event_is_its_fields_up_to_the_blank_line() {
        let event = Parsed::Event {
            cursor: Some("7-a".into()),
            kind: "phase_changed".into(),
            data: "{\n}".into(),
        };
        assert_eq!(
            parse(": hello\nid: 7-a\nevent:phase_changed\ndata: {\ndata: }\nretry: 1\n\n"),
            [event]
        );
    }

    #[test]
    fn an_event_that_breaks_off_is_none() {
        assert_eq!(parse("id: 1\ndata: x\n"), []);
    }

    #[test]
    fn a_cursor_alone_moves_on_and_keep_alives_say_nothing() {
        assert_eq!(parse(": keep-alive\n\nid: 9\n\n"), [Parsed::Cursor("9".into())]);
    }
}
