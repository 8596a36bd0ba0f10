//! Reads the tree into our types, and finds everything that does not fit, not only the first.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, Expected, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, Visitor,
};

use super::diagnostic::{Finding, Findings};
use super::source::Bounds;
use super::suggest::{listed, nearest};
use super::tree::{Entry, Node, Value};

/// One table has no more problems told than this, so that a hostile one costs bounded time.
const MOST_OF_ONE_TABLE: usize = 100;

/// Reads a tree. What does not fit is told and taken away, and the rest is read again, until it is read or nothing is left.
///
/// `at` is what is pointed at for problems of the whole. Returns nothing if anything was wrong.
pub(super) fn read<T: DeserializeOwned>(root: &mut Node, at: &Bounds, findings: &mut Findings) -> Option<T> {
    what_fits(root, at, findings).filter(|_| !root.damaged)
}

/// Reads a tree as [`read`] does, and gives what is left of it also where something was wrong, for further looks at what is still there: the
/// root says whether it is damaged.
pub(super) fn what_fits<T: DeserializeOwned>(root: &mut Node, at: &Bounds, findings: &mut Findings) -> Option<T> {
    for _ in 0..MOST_OF_ONE_TABLE {
        let mut error = match T::deserialize(Reader(root)) {
            Ok(read) => return Some(read),
            Err(error) => error,
        };
        error.path.reverse();
        if error.whole
            && let Some(node) = root.follow(&error.path)
        {
            if node.damaged && !error.is_of_what_is_left(node) {
                error.told = true;
            } else if let Some((path, key_at)) = error.names_key().and_then(|key| node.locate(key)) {
                error.path.extend(path);
                error.at = Some(key_at);
            }
        }
        root.remove(&error.path);
        let whole = error.path.is_empty();
        if !error.told {
            findings.add(Finding {
                at: error.at.unwrap_or_else(|| at.clone()),
                message: error.message,
                help: error.help,
            });
        }
        if whole || findings.is_full() {
            return None;
        }
    }
    None
}

/// Something does not fit.
#[derive(Debug)]
struct Misfit {
    message: String,
    help: Option<String>,
    /// Where it is, once known.
    at: Option<Bounds>,
    /// The way from the root, last step first.
    path: Vec<usize>,
    /// It is about a value as a whole: something is missing in it, or its parts contradict one another.
    whole: bool,
    /// It was told when it was found.
    told: bool,
}

impl Misfit {
    fn new(message: String, help: Option<String>) -> Self {
        Self {
            message,
            help,
            at: None,
            path: Vec::new(),
            whole: false,
            told: false,
        }
    }

    fn on_the_way(mut self, index: usize, at: &Bounds) -> Self {
        self.at.get_or_insert_with(|| at.clone());
        self.path.push(index);
        self
    }

    /// Whether it would be said of a table as well if nothing had been taken out of that: it begins with the key that it is about, and every
    /// key that it names is there.
    fn is_of_what_is_left(&self, table: &Node) -> bool {
        let mut keys = self.message.split('`').skip(1).step_by(2);
        self.message.starts_with('`') && keys.all(|key| table.locate(key).is_some())
    }

    /// The key that the message is about: the first word in backticks.
    fn names_key(&self) -> Option<&str> {
        self.message.split('`').nth(1)
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Misfit {}

impl serde::de::Error for Misfit {
    fn custom<T: fmt::Display>(message: T) -> Self {
        let message = message.to_string();
        let split = [": write ", ": use ", "; remove "]
            .iter()
            .find_map(|start| message.find(start));
        let (said, help) = match split {
            Some(at) => (
                message[..at].to_owned(),
                Some(message[at..].trim_start_matches([':', ';', ' ']).to_owned()),
            ),
            None => (message, None),
        };
        Self {
            whole: true,
            ..Self::new(said, help)
        }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let wanted = wanted(&expected.to_string());
        let help = match found {
            Unexpected::Signed(_) | Unexpected::Unsigned(_) | Unexpected::Float(_) if wanted == A_TEXT => {
                Some("write it in quotes, a duration or a size with its unit, such as \"30s\" or \"64MiB\"".to_owned())
            }
            Unexpected::Bool(truth) if wanted == A_TEXT => Some(format!("write it in quotes: \"{truth}\"")),
            Unexpected::Str(text) if wanted == A_LIST => Some(if text.contains(' ') {
                "write a list: the program and each argument in quotes of its own, in brackets".to_owned()
            } else {
                "write it in brackets, which make a list".to_owned()
            }),
            Unexpected::Str("true" | "false") => Some("write it without quotes".to_owned()),
            Unexpected::Str(text) if text.parse::<f64>().is_ok() => Some("write it without quotes".to_owned()),
            _nothing_to_add => None,
        };
        Self::new(format!("expected {wanted}, found {}", kind(found)), help)
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let value = match found {
            Unexpected::Signed(number) => format!("`{number}`"),
            Unexpected::Unsigned(number) => format!("`{number}`"),
            Unexpected::Float(number) => format!("`{number}`"),
            other => kind(other).to_owned(),
        };
        Self::new(
            format!("expected {}, found {value}", wanted(&expected.to_string())),
            None,
        )
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(
            format!("unknown value `{variant}`"),
            Some(help_for(variant, expected, "one of")),
        )
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::new(
            format!("unknown key `{field}`"),
            Some(help_for(field, expected, "the keys here are")),
        )
    }

    fn missing_field(field: &'static str) -> Self {
        Self {
            whole: true,
            ..Self::new(
                format!("the key `{field}` is missing"),
                Some("it has no default; add it".to_owned()),
            )
        }
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self {
            whole: true,
            ..Self::new(
                format!("`{field}` is given twice"),
                Some("it has two spellings; keep one".to_owned()),
            )
        }
    }
}

const A_TEXT: &str = "a text in quotes";
const A_LIST: &str = "a list";

fn help_for(word: &str, known: &'static [&'static str], all: &str) -> String {
    // Spellings in camel case are understood, but not what we write.
    let ours = || {
        known
            .iter()
            .copied()
            .filter(|known| !known.contains(|letter: char| letter.is_ascii_uppercase()))
    };
    match nearest(word, ours()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("{all} {}", listed(ours())),
    }
}

/// Says in words of TOML what serde says in words of Rust.
fn wanted(expected: &str) -> String {
    match expected {
        "a string" | "str" => A_TEXT.to_owned(),
        "a boolean" => "`true` or `false`".to_owned(),
        "a sequence" => A_LIST.to_owned(),
        "a map" => "a table".to_owned(),
        "u16" => format!("a whole number from 0 to {}", u16::MAX),
        "u32" => format!("a whole number from 0 to {}", u32::MAX),
        "u64" => "a whole number, not negative".to_owned(),
        "i32" => format!("a whole number from {} to {}", i32::MIN, i32::MAX),
        "f64" => "a number".to_owned(),
        of_rust if of_rust.starts_with("struct ") => "a table".to_owned(),
        of_rust if of_rust.starts_with("enum ") => A_TEXT.to_owned(),
        plain => plain.to_owned(),
    }
}

fn kind(found: Unexpected<'_>) -> &str {
    match found {
        Unexpected::Bool(true) => "`true`",
        Unexpected::Bool(false) => "`false`",
        Unexpected::Signed(_) | Unexpected::Unsigned(_) => "a whole number",
        Unexpected::Float(_) => "a number",
        Unexpected::Str(_) => "a text",
        Unexpected::Seq => A_LIST,
        Unexpected::Map => "a table",
        Unexpected::Other(other) => other,
        _not_in_toml => "something else",
    }
}

/// Reads one value.
#[derive(Clone, Copy)]
struct Reader<'n>(&'n Node);

impl Reader<'_> {
    /// A text from the environment as the number or truth that is wanted of it.
    fn as_number<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match &self.0.value {
            Value::Filled(text) => {
                if let Ok(number) = text.parse() {
                    visitor.visit_i64(number)
                } else if let Ok(number) = text.parse() {
                    visitor.visit_f64(number)
                } else if let Ok(truth) = text.parse() {
                    visitor.visit_bool(truth)
                } else {
                    visitor.visit_str(text)
                }
            }
            _as_written => self.deserialize_any(visitor),
        }
    }
}

macro_rules! numbers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
            self.as_number(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        // A misfit of a leaf is about its text, not about how its parts fit together.
        let leaf = |misfit: Misfit| Misfit { whole: false, ..misfit };
        match &self.0.value {
            Value::Text(text) | Value::Filled(text) => visitor.visit_str(text).map_err(leaf),
            Value::Whole(number) => match (i64::try_from(*number), u64::try_from(*number)) {
                (Ok(number), _) => visitor.visit_i64(number),
                (Err(_), Ok(number)) => visitor.visit_u64(number),
                (Err(_), Err(_)) => Err(Misfit::new("this number is too large".to_owned(), None)),
            }
            .map_err(leaf),
            Value::Real(number) => visitor.visit_f64(*number).map_err(leaf),
            Value::Truth(truth) => visitor.visit_bool(*truth).map_err(leaf),
            Value::Date => Err(Misfit::invalid_type(Unexpected::Other("a date"), &visitor)),
            Value::List(items) => visitor.visit_seq(Items { items, next: 0 }),
            Value::Table(entries) => visitor.visit_map(Entries { entries, next: 0 }),
            Value::Told => Err(Misfit {
                told: true,
                ..Misfit::new(String::new(), None)
            }),
        }
    }

    numbers! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128 deserialize_u8
        deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        match &self.0.value {
            Value::Text(text) | Value::Filled(text) => visitor.visit_enum(Word(text)),
            _no_word => self.deserialize_any(visitor),
        }
    }

    serde::forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// The items of a list.
struct Items<'n> {
    items: &'n [Node],
    next: usize,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Misfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Misfit> {
        let Some(node) = self.items.get(self.next) else {
            return Ok(None);
        };
        self.next += 1;
        seed.deserialize(Reader(node))
            .map(Some)
            .map_err(|misfit| misfit.on_the_way(self.next - 1, &node.at))
    }
}

/// The entries of a table.
struct Entries<'n> {
    entries: &'n [Entry],
    next: usize,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Misfit> {
        let Some(entry) = self.entries.get(self.next) else {
            return Ok(None);
        };
        let key: StrDeserializer<'_, Misfit> = entry.key.as_str().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|misfit| {
            let about_the_key = Misfit { whole: false, ..misfit };
            about_the_key.on_the_way(self.next, &entry.key_at)
        })
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Misfit> {
        let Some(entry) = self.entries.get(self.next) else {
            return Err(Misfit::custom("a value was asked for before its key"));
        };
        self.next += 1;
        seed.deserialize(Reader(&entry.node)).map_err(|misfit| {
            // What a table lacks is told at its name: the table itself may have many lines.
            let many = matches!(entry.node.value, Value::Table(_) | Value::List(_));
            let at = if misfit.whole && many {
                &entry.key_at
            } else {
                &entry.node.at
            };
            misfit.on_the_way(self.next - 1, at)
        })
    }
}

/// A text as one of an enum's words.
struct Word<'n>(&'n str);

impl<'de> EnumAccess<'de> for Word<'_> {
    type Error = Misfit;
    type Variant = NoContent;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, NoContent), Misfit> {
        let word: StrDeserializer<'_, Misfit> = self.0.into_deserializer();
        seed.deserialize(word).map(|variant| (variant, NoContent))
    }
}

/// A word has nothing in it.
struct NoContent;

impl<'de> serde::de::VariantAccess<'de> for NoContent {
    type Error = Misfit;

    fn unit_variant(self) -> Result<(), Misfit> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, Misfit> {
        Err(Misfit::custom("expected a table, found a text"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Misfit> {
        Err(Misfit::custom("expected a list, found a text"))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, Misfit> {
        Err(Misfit::custom("expected a table, found a text"))
    }
}
