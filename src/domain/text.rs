//! Values with one text form, as JSON holds them: read where the text lies and written without a detour. Entries consist of
//! little else, so every copy here is made for each of them again.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{Deserializer, Error, Visitor};

/// Reads a text with [`FromStr`].
pub(crate) fn read<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: FromStr,
    T::Err: fmt::Display,
    D: Deserializer<'de>,
{
    deserializer.deserialize_str(Text(PhantomData))
}

struct Text<T>(PhantomData<T>);

impl<T> Visitor<'_> for Text<T>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

/// Written by its `Display` and read by its `FromStr`. With a second argument, `fn(&Self) -> impl AsRef<str>`, it is written
/// as that.
macro_rules! serde_as_text {
    ($name:ident) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        $crate::domain::text::read_as_text!($name);
    };
    ($name:ident, $text:expr) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str($text(self).as_ref())
            }
        }

        $crate::domain::text::read_as_text!($name);
    };
}
pub(crate) use serde_as_text;

/// Read by its `FromStr`.
macro_rules! read_as_text {
    ($name:ident) => {
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::domain::text::read(deserializer)
            }
        }
    };
}
pub(crate) use read_as_text;

/// A text of a fixed length in ASCII that was put together in place.
pub(crate) struct Ascii<const LENGTH: usize>(pub(crate) [u8; LENGTH]);

impl<const LENGTH: usize> AsRef<str> for Ascii<LENGTH> {
    fn as_ref(&self) -> &str {
        // Whoever puts it together writes ASCII.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}
