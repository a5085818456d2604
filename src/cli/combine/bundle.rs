//! Which shares belong together, and why some do not: each mistake in words that say what to do. It knows neither where
//! the shares came from nor where the secrets go.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::super::output::Failure;
use super::pasted::{Broken, Damage, Pasted};
use crate::domain::contact::Language;
use crate::domain::ids::Label;
use crate::domain::mistake::{Mistake, Said};
use crate::domain::reference::Reference;
use crate::domain::secret::ClientSecret;
use crate::domain::share::{CannotCombine, Share, ShareToken, Side, combine};

/// All secrets of one delivery.
#[derive(Debug)]
pub(in crate::cli) struct Bundle {
    /// The delivery.
    pub(in crate::cli) reference: Reference,
    /// Per pair.
    pub(in crate::cli) secrets: BTreeMap<Label, ClientSecret>,
}

/// What confirms a delivery: the body of the request.
#[derive(Serialize)]
pub(in crate::cli) struct Confirmation {
    proofs: BTreeMap<String, String>,
}

impl Bundle {
    /// From a text that holds both parts of one delivery.
    pub(in crate::cli) fn of(pasted: &Pasted) -> Result<Self, Failure> {
        let references =
            |side| -> BTreeSet<Reference> { of_side(&pasted.shares, side).map(|share| share.reference).collect() };
        let (mail, pickup) = (references(Side::Mail), references(Side::Pickup));
        match (mail.first(), pickup.first()) {
            (None, None) => return Err(nothing(&pasted.broken)),
            (None, Some(_)) => return Err(one_side_missing(Side::Mail, &pasted.broken)),
            (Some(_), None) => return Err(one_side_missing(Side::Pickup, &pasted.broken)),
            (Some(_), Some(_)) => {}
        }
        let mut both = mail.intersection(&pickup);
        match (both.next(), both.next()) {
            (Some(reference), None) => {
                let side = |side| of_side(&pasted.shares, side).filter(|share| share.reference == *reference);
                let (mail, pickup): (Vec<_>, Vec<_>) = (side(Side::Mail).collect(), side(Side::Pickup).collect());
                let labels = mail.iter().chain(&pickup).map(|share| share.label.clone()).collect();
                join(*reference, &labels, &mail, &pickup, &pasted.broken)
            }
            (Some(_), Some(_)) => {
                let hint = "paste the two parts of one delivery at a time";
                Err(cannot("there are both parts of several deliveries").hint(hint))
            }
            (None, _) => Err(other_delivery(&names(&mail), &names(&pickup))),
        }
    }

    /// The proofs of all pairs.
    pub(in crate::cli) fn confirmation(&self) -> Confirmation {
        let proof =
            |(label, secret): (&Label, &ClientSecret)| (label.to_string(), secret.proof(&self.reference).to_hex());
        Confirmation { proofs: self.secrets.iter().map(proof).collect() }
    }
}

/// The mail shares of one delivery from what was pasted; all of `labels`, or why not.
pub(in crate::cli) fn mail_shares<'p>(
    pasted: &'p Pasted,
    reference: Reference,
    labels: &BTreeSet<Label>,
) -> Result<Vec<&'p Share>, Failure> {
    let (own, other): (Vec<_>, Vec<_>) =
        of_side(&pasted.shares, Side::Mail).partition(|share| share.reference == reference);
    if own.is_empty() && !other.is_empty() {
        let others: BTreeSet<_> = other.iter().map(|share| share.reference).collect();
        return Err(other_delivery(&names(&others), &reference.to_string()));
    }
    if own.is_empty() && of_side(&pasted.shares, Side::Pickup).next().is_some() {
        return Err(mistake(Mistake::IsPartTwo, &[]));
    }
    if own.is_empty() {
        return Err(nothing(&pasted.broken));
    }
    let present: BTreeSet<_> = own.iter().map(|share| &share.label).collect();
    match labels.iter().find(|label| !present.contains(label)) {
        Some(label) => Err(label_missing(label, Side::Mail, &pasted.broken)),
        None => Ok(own),
    }
}

/// Part 2 of one pair, as the pickup endpoint gave it.
pub(in crate::cli) fn pickup_share(token: &ShareToken) -> Result<Share, Failure> {
    token.read().map_err(|error| cannot(format_args!("part 2 as the server sent it cannot be read: {error}")))
}

/// Puts the shares of one delivery together, pair by pair.
pub(in crate::cli) fn join(
    reference: Reference,
    labels: &BTreeSet<Label>,
    mail: &[&Share],
    pickup: &[&Share],
    broken: &[Broken],
) -> Result<Bundle, Failure> {
    let mut secrets = BTreeMap::new();
    for label in labels {
        let (mail, pickup) = (only(mail, label, Side::Mail, broken)?, only(pickup, label, Side::Pickup, broken)?);
        let secret = combine(mail, pickup).map_err(|error| explained(label, error))?;
        secrets.insert(label.clone(), secret);
    }
    Ok(Bundle { reference, secrets })
}

/// The one share of a pair. What is pasted twice was found once, so a second one differs.
fn only<'s>(shares: &[&'s Share], label: &Label, side: Side, broken: &[Broken]) -> Result<&'s Share, Failure> {
    let mut of_label = shares.iter().filter(|share| share.label == *label);
    match (of_label.next(), of_label.next()) {
        (Some(share), None) => Ok(share),
        (Some(_), Some(_)) => Err(mistake(Mistake::Several, &[("{part}", part(side)), ("{label}", label.as_str())])),
        (None, _) => Err(label_missing(label, side, broken)),
    }
}

fn of_side(shares: &[Share], side: Side) -> impl Iterator<Item = &Share> {
    shares.iter().filter(move |share| share.side == side)
}

fn part(side: Side) -> &'static str {
    match side {
        Side::Mail => "part 1 (from the e-mail)",
        Side::Pickup => "part 2 (from the pickup)",
    }
}

/// The first few of them: a paste may hold any number.
fn names(references: &BTreeSet<Reference>) -> String {
    let mut names: Vec<_> = references.iter().take(NAMED_MAX).map(Reference::to_string).collect();
    if let Some(more) = references.len().checked_sub(NAMED_MAX).filter(|more| *more > 0) {
        names.push(format!("{more} others"));
    }
    names.join(" and ")
}

const NAMED_MAX: usize = 3;

fn cannot(cause: impl std::fmt::Display) -> Failure {
    Failure::new("combine the two parts", "", cause)
}

/// A mistake in the words that the page has for it, with what depends on the paste filled in.
pub(in crate::cli) fn mistake(mistake: Mistake, values: &[(&str, &str)]) -> Failure {
    let Said { what, remedy } = mistake.said(Language::En);
    let fill = |text: &str| values.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value));
    cannot(fill(what)).hint(fill(remedy))
}

fn nothing(broken: &[Broken]) -> Failure {
    broken.first().map_or_else(|| mistake(Mistake::NoPart, &[]), not_whole)
}

fn not_whole(broken: &Broken) -> Failure {
    let what = match broken.why {
        Damage::CutOff => Mistake::CutOff,
        Damage::Changed => Mistake::Changed,
    };
    mistake(what, &[("{part}", &remains(broken))])
}

fn remains(broken: &Broken) -> String {
    let part = broken.side.map_or("a part", part);
    let of = |what: &str, name: Option<String>| name.map(|name| format!(" of {what} {name}")).unwrap_or_default();
    let label = of("the pair", broken.label.as_ref().map(Label::to_string));
    format!("{part}{label}{}", of("delivery", broken.reference.map(|reference| reference.to_string())))
}

fn one_side_missing(side: Side, broken: &[Broken]) -> Failure {
    if let Some(broken) = broken.iter().find(|broken| broken.side.is_none_or(|found| found == side)) {
        return not_whole(broken);
    }
    let hint = match side {
        Side::Mail => "part 1 stands in the e-mail; paste that as well",
        Side::Pickup => {
            "fetch part 2 with the organisation's certificate, as the e-mail says; tallyd pickup does all of it"
        }
    };
    cannot(format_args!("{} is missing", part(side))).hint(hint)
}

fn other_delivery(mail: &str, pickup: &str) -> Failure {
    mistake(Mistake::OtherDelivery, &[("{theirs}", mail), ("{ours}", pickup)])
}

fn label_missing(label: &Label, side: Side, broken: &[Broken]) -> Failure {
    let here =
        broken.iter().find(|one| one.side.is_none_or(|found| found == side) && one.label.as_ref() == Some(label));
    let what = match here.map(|one| one.why) {
        Some(Damage::CutOff) => Mistake::PairCutOff,
        Some(Damage::Changed) => Mistake::PairChanged,
        None => Mistake::PairMissing,
    };
    mistake(what, &[("{part}", part(side)), ("{label}", label.as_str())])
}

fn explained(label: &Label, error: CannotCombine) -> Failure {
    match error {
        CannotCombine::Deliveries { .. } | CannotCombine::Labels | CannotCombine::Sides => {
            cannot(format_args!("pair {label}: {error}"))
                .hint("paste the whole e-mail, and the whole answer of the pickup")
        }
        CannotCombine::Secret(_) => mistake(Mistake::DoNotFit, &[("{label}", label.as_str())]),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::domain::ids::Environment;
    use crate::domain::random::{Randomness, RandomnessFailed};

    /// Bytes that differ from one seed to another.
    pub(in crate::cli::combine) struct Counting(pub(in crate::cli::combine) u8);

    impl Randomness for Counting {
        fn fill(&self, buffer: &mut [u8]) -> Result<(), RandomnessFailed> {
            let next = Cell::new(self.0);
            buffer.iter_mut().for_each(|byte| *byte = next.replace(next.get().wrapping_mul(31).wrapping_add(7)));
            Ok(())
        }
    }

    /// Both tokens of one secret.
    pub(in crate::cli::combine) fn tokens(reference: &str, label: &str, random: &Counting) -> (String, String) {
        let (reference, label) = (reference.parse().unwrap(), label.parse().unwrap());
        let secret = ClientSecret::generate(&"ex".parse().unwrap(), Environment::Test, random).unwrap();
        let (mail, pickup) = secret.split(&Counting(random.0.wrapping_add(101))).unwrap();
        let text = |token: ShareToken| token.release().to_owned();
        (text(mail.into_token(&reference, &label)), text(pickup.into_token(&reference, &label)))
    }

    fn failure(text: &str) -> String {
        Bundle::of(&Pasted::find(text)).unwrap_err().to_string()
    }

    #[test]
    fn all_pairs_of_a_bundle_are_combined_in_any_order() {
        let (m1, p1) = tokens("K7QF2M9D", "oauth2", &Counting(1));
        let (m2, p2) = tokens("K7QF2M9D", "apigw", &Counting(2));
        let bundle = Bundle::of(&Pasted::find(&format!("{p2}\n{m1}\n{p1} and {m2}"))).unwrap();
        let labels: Vec<_> = bundle.secrets.keys().map(Label::as_str).collect();
        assert_eq!(labels, ["apigw", "oauth2"]);
        for secret in bundle.secrets.values() {
            assert!(secret.reveal_to_recipient().starts_with("ex_test_"));
        }
        let confirmation = serde_json::to_value(bundle.confirmation()).unwrap();
        let oauth2 = bundle.secrets.values().last().unwrap().proof(&bundle.reference).to_hex();
        assert_eq!(confirmation["proofs"]["oauth2"], oauth2);
        assert_eq!(confirmation["proofs"].as_object().unwrap().len(), 2);
    }

    #[test]
    fn every_mistake_is_explained() {
        let (m1, p1) = tokens("K7QF2M9D", "oauth2", &Counting(1));
        let (m2, p2) = tokens("K7QF2M9D", "apigw", &Counting(2));
        let (m3, p3) = tokens("00000000", "oauth2", &Counting(3));
        let (again, _) = tokens("K7QF2M9D", "oauth2", &Counting(4));
        for (text, says) in [
            (String::new(), "there is no part in what was pasted"),
            (m1.clone(), "part 2 (from the pickup) is missing"),
            (p1.clone(), "part 1 (from the e-mail) is missing"),
            (
                format!("{m1} {}", &p1[..60]),
                "there is part 2 (from the pickup) of the pair oauth2 of delivery K7QF-2M9D, but",
            ),
            (
                format!("{m1} {p3}"),
                "this e-mail belongs to delivery K7QF-2M9D, and what is picked up is delivery 0000-0000",
            ),
            (format!("{m1} {p1} {m3} {p3}"), "both parts of several deliveries"),
            (
                format!("{m1} {p1} {again}"),
                "there are several different versions of part 1 (from the e-mail) of the pair oauth2",
            ),
            (format!("{m1} {p1} {m2}"), "part 2 (from the pickup) of the pair apigw is missing"),
            (
                format!("{m1} {p1} {p2} {}", &m2[..60]),
                "part 1 (from the e-mail) of the pair apigw is not whole: it is cut off",
            ),
        ] {
            let said = failure(&text);
            assert!(said.contains(says) && said.contains("\nhint: "), "{said}");
            assert!(!said.contains("tally1.K7"), "a share is shown: {said}");
        }
    }

    #[test]
    fn shares_of_two_secrets_under_one_name_are_not_combined() {
        let (mail, _) = tokens("K7QF2M9D", "oauth2", &Counting(1));
        let (_, pickup) = tokens("K7QF2M9D", "oauth2", &Counting(9));
        assert!(failure(&format!("{mail} {pickup}")).contains("do not fit together"));
        let (other, _) = tokens("K7QF2M9D", "oauth2", &Counting(5));
        assert!(failure(&format!("{mail} {other} {pickup}")).contains("several different versions of part 1"));
    }

    #[test]
    fn the_mail_of_a_delivery_is_found_among_others_and_a_wrong_one_is_named() {
        let (m1, p1) = tokens("K7QF2M9D", "oauth2", &Counting(1));
        let (m3, _) = tokens("00000000", "oauth2", &Counting(3));
        let reference = "K7QF2M9D".parse().unwrap();
        let labels = |labels: &[&str]| labels.iter().map(|label| label.parse().unwrap()).collect();
        let find = |text: &str, wanted: &[&str]| {
            let pasted = Pasted::find(text);
            mail_shares(&pasted, reference, &labels(wanted))
                .map(|shares| shares.len())
                .map_err(|error| error.to_string())
        };
        assert_eq!(find(&format!("{m3}\n{m1}"), &["oauth2"]), Ok(1));
        let other = find(&m3, &["oauth2"]).unwrap_err();
        assert!(other.contains("0000-0000") && other.contains("K7QF-2M9D"), "{other}");
        assert!(find(&p1, &["oauth2"]).unwrap_err().contains("what was pasted is part 2"));
        assert!(find(&m1, &["apigw", "oauth2"]).unwrap_err().contains("of the pair apigw is missing"));
        assert!(find(&m1[..70], &["oauth2"]).unwrap_err().contains("it is cut off"));
        assert!(find("no", &["oauth2"]).unwrap_err().contains("no part in what was pasted"));
    }
}
