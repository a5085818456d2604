//! Whether a page is asked for or a document for a program, and in which language.

use std::cmp::Reverse;

use http::HeaderMap;
use http::header::{ACCEPT, ACCEPT_LANGUAGE};

use super::super::problem::Problem;
use super::super::request::Authorised;
use crate::domain::contact::Language;

/// Whether a page is wanted rather than JSON. `*/*` alone is a program's word: curl says it.
pub(super) fn wants_a_page(headers: &HeaderMap) -> bool {
    let weights = weights(headers, ACCEPT.as_str());
    let of = |wanted: &str| weights.iter().find(|(name, _)| name == wanted).map_or(0, |(_, weight)| *weight);
    of("text/html") > of("application/json")
}

/// What was chosen by the switch on the page, or else what the browser prefers, or else the agency's own.
pub(super) fn language<C>(request: &Authorised<C>, agency: Language) -> Result<Language, Problem> {
    let query = request.query(&["lang"])?;
    let chosen = query.value("lang").and_then(named);
    Ok(chosen.or_else(|| preferred(request.headers())).unwrap_or(agency))
}

fn preferred(headers: &HeaderMap) -> Option<Language> {
    let mut wanted = weights(headers, ACCEPT_LANGUAGE.as_str());
    wanted.retain(|(_, weight)| *weight > 0);
    // The sort is stable: of two that weigh the same, the first is preferred.
    wanted.sort_by_key(|(_, weight)| Reverse(*weight));
    wanted.iter().find_map(|(range, _)| named(range.split('-').next().unwrap_or_default()))
}

fn named(text: &str) -> Option<Language> {
    Language::ALL.iter().copied().find(|language| language.as_str() == text)
}

/// The elements of a list with weights in thousandths (RFC 9110, section 12.4.2). What is malformed weighs nothing.
fn weights(headers: &HeaderMap, name: &str) -> Vec<(String, u16)> {
    let fields = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let element = |element: &str| {
        let mut pieces = element.split(';').map(str::trim);
        let name = pieces.next().unwrap_or_default().to_ascii_lowercase();
        let weight = pieces.find_map(|piece| piece.strip_prefix("q=").or_else(|| piece.strip_prefix("Q=")));
        (name, weight.map_or(1000, thousandths))
    };
    fields.flat_map(|field| field.split(',').map(element)).collect()
}

fn thousandths(text: &str) -> u16 {
    match text.split_once('.') {
        _ if text.len() > 5 => 0,
        None if text == "1" => 1000,
        Some(("1", digits)) if digits.bytes().all(|digit| digit == b'0') => 1000,
        Some(("0", digits)) if digits.bytes().all(|digit| digit.is_ascii_digit()) => {
            format!("{digits:0<3}").parse().unwrap_or(0)
        }
        None | Some(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(http::HeaderName::from_static(name), HeaderValue::from_static(value))])
    }

    #[test]
    fn browsers_get_the_page_and_programs_json() {
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";
        for (accept, page) in [
            (browser, true),
            ("Text/HTML", true),
            ("application/json;q=0.5, text/html;q=0.9", true),
            ("*/*", false),
            ("", false),
            ("application/json", false),
            ("application/json, text/html", false),
            ("application/json, text/html;q=0.9", false),
            ("text/html;q=0", false),
            ("text/html;q=nonsense", false),
            ("text/html;q=1.5", false),
        ] {
            assert_eq!(wants_a_page(&headers("accept", accept)), page, "{accept}");
        }
        assert!(!wants_a_page(&HeaderMap::new()));
    }

    #[test]
    fn the_browsers_language_is_taken_where_the_page_speaks_it() {
        for (wanted, language) in [
            ("sv-SE,sv;q=0.9,en;q=0.8", Some(Language::Sv)),
            ("de, en-GB;q=0.7, sv;q=0.3", Some(Language::En)),
            ("en;q=0, sv;q=0.001", Some(Language::Sv)),
            ("fi, *;q=0.1", None),
            ("", None),
        ] {
            assert_eq!(preferred(&headers("accept-language", wanted)), language, "{wanted}");
        }
    }
}
