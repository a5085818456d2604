//! The query of a request, read strictly: a parameter that nobody asked for, or that comes twice, is refused rather than
//! ignored, so that a misspelled filter never means "everything".

use super::problem::Problem;

/// Decoded parameters, each name at most once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads the part of the target after `?`; `known` are the names that may stand in it.
    pub(super) fn read(text: &str, known: &[&str]) -> Result<Self, Problem> {
        let mut parameters: Vec<(String, String)> = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (Some(name), Some(value)) = (decode(name), decode(value)) else {
                return Err(Problem::bad_request("bad-query", "The query is not percent-encoded UTF-8."));
            };
            if !known.contains(&name.as_str()) {
                let detail = format!("The query has a parameter that is not known here. Known: {}.", known.join(", "));
                return Err(Problem::bad_request("unknown-parameter", detail));
            }
            if parameters.iter().any(|(earlier, _)| *earlier == name) {
                return Err(Problem::bad_request("repeated-parameter", "The query has a parameter twice."));
            }
            parameters.push((name, value));
        }
        Ok(Self(parameters))
    }

    /// The value of a parameter.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Percent-decoding with `+` for a space (WHATWG URL, application/x-www-form-urlencoded). `None` for a broken escape, a
/// control character, or bytes that are not UTF-8.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (digits, after) = rest.split_at_checked(2)?;
                rest = after;
                data_encoding::HEXLOWER_PERMISSIVE.decode(digits).ok()?.first().copied()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok().filter(|decoded| !decoded.chars().any(char::is_control))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let query = Query::read("application_id=a%3Ab%2f1&name=%C3%85+B", &["application_id", "name"]).unwrap();
        assert_eq!(query.value("application_id"), Some("a:b/1"));
        assert_eq!(query.value("name"), Some("Å B"));
        assert_eq!(query.value("other"), None);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (text, code) in [
            ("a=%", "bad-query"),
            ("a=%4", "bad-query"),
            ("a=%zz", "bad-query"),
            ("a=%ff", "bad-query"),
            ("a=%00", "bad-query"),
            ("b=1", "unknown-parameter"),
            ("a=1&a=1", "repeated-parameter"),
            ("a=1&%61=2", "repeated-parameter"),
        ] {
            assert_eq!(Query::read(text, &["a"]).unwrap_err().code(), code, "{text}");
        }
    }
}
