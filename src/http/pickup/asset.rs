//! The page's one script and one stylesheet, as they are in the binary, and the hashes by which a browser knows them
//! (Subresource Integrity).

use std::sync::LazyLock;

use base64ct::{Base64, Encoding};
use http::StatusCode;
use ring::digest::{SHA384, digest};

use super::super::problem::Problem;
use super::super::reply;
use super::super::request::Authorised;
use super::super::{Response, caller};
use super::policy::guarded;

const SCRIPT: &str = include_str!("assets/page.js");

const STYLE: &str = include_str!("assets/page.css");

/// `sha384-…` of the script.
pub(super) static SCRIPT_INTEGRITY: LazyLock<String> = LazyLock::new(|| integrity(SCRIPT));

/// `sha384-…` of the stylesheet.
pub(super) static STYLE_INTEGRITY: LazyLock<String> = LazyLock::new(|| integrity(STYLE));

/// The script. It holds nothing of anybody, so it takes nothing from the caller's share.
pub(super) async fn script(_request: Authorised<caller::Recipient>) -> Result<Response, Problem> {
    Ok(guarded(reply::with_body(StatusCode::OK, "text/javascript; charset=utf-8", SCRIPT)))
}

/// The stylesheet.
pub(super) async fn style(_request: Authorised<caller::Recipient>) -> Result<Response, Problem> {
    Ok(guarded(reply::with_body(StatusCode::OK, "text/css; charset=utf-8", STYLE)))
}

fn integrity(text: &str) -> String {
    format!("sha384-{}", Base64::encode_string(digest(&SHA384, text.as_bytes()).as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_knows_no_other_place_and_makes_no_html_of_text() {
        for fetcher in ["://", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("] {
            assert!(!SCRIPT.contains(fetcher), "{fetcher}");
        }
        for fetcher in ["url(", "@import", "://"] {
            assert!(!STYLE.contains(fetcher), "{fetcher}");
        }
    }
}
