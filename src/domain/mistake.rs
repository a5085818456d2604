//! What can be wrong with what a recipient pasted, in words: the page in the browser and the command line say the same of
//! the same mistake, in each language. Who finds a mistake, and how, is not known here.

use super::contact::Language;
use super::words::words_of;

/// A mistake of a paste.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mistake {
    /// No part at all.
    NoPart,
    /// More than any mail is.
    TooLong,
    /// A part whose end is missing.
    CutOff,
    /// A part that is whole but not as it was.
    Changed,
    /// The other part.
    IsPartTwo,
    /// A pair of the bundle without its part.
    PairMissing,
    /// A pair of the bundle whose part is cut off.
    PairCutOff,
    /// A pair of the bundle whose part was changed.
    PairChanged,
    /// Two parts of one pair that differ.
    Several,
    /// The parts are whole, and give no secret.
    DoNotFit,
    /// The mail of another delivery.
    OtherDelivery,
    /// The mail of a delivery that another took the place of.
    OtherReplaced,
    /// The mail of another delivery that can be picked up too.
    OtherOpen,
}

words_of!(Mistake {
    NoPart => "none",
    TooLong => "too-long",
    CutOff => "cut-off",
    Changed => "changed",
    IsPartTwo => "is-part-2",
    PairMissing => "pair-missing",
    PairCutOff => "pair-cut-off",
    PairChanged => "pair-changed",
    Several => "several",
    DoNotFit => "do-not-fit",
    OtherDelivery => "other",
    OtherReplaced => "other-replaced",
    OtherOpen => "other-open",
});

/// What is wrong, and what to do: clauses without a capital and a full stop. In braces stands what depends on the paste:
/// `{part}`, which part; `{label}`, of which pair; `{theirs}` and `{ours}`, of which delivery the mail is and which is
/// picked up; `{newer}` and `{time}`, what took its place and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// What is wrong.
    pub what: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

impl Mistake {
    /// The words for it.
    pub fn said(self, language: Language) -> Said {
        let (what, remedy) = match language {
            Language::En => self.in_english(),
            Language::Sv => self.in_swedish(),
        };
        Said { what, remedy }
    }

    /// The same as two sentences, about part 1.
    pub fn sentences(self, language: Language) -> String {
        let Said { what, remedy } = self.said(language);
        let part_one = match (self, language) {
            (Self::CutOff | Self::Changed, Language::En) => "a part",
            (Self::CutOff | Self::Changed, Language::Sv) => "en del",
            (_, Language::En) => "part 1",
            (_, Language::Sv) => "del 1",
        };
        let capital = |clause: &str| {
            let clause = clause.replace("{part}", part_one);
            let mut rest = clause.chars();
            rest.next().map(|first| first.to_uppercase().chain(rest).collect::<String>()).unwrap_or_default()
        };
        format!("{}. {}.", capital(what), capital(remedy))
    }

    fn in_english(self) -> (&'static str, &'static str) {
        const WHOLE: &str = "copy it from the first letter of tally1 to the last character before the next empty line; \
                             pasting the whole e-mail does it as well";
        match self {
            Self::NoPart => (
                "there is no part in what was pasted",
                "a part begins with tally1. and stands in the e-mail below “Part 1”; open the e-mail in a mail program, and \
                 paste all of its text",
            ),
            Self::TooLong => ("that is too much to be an e-mail", "paste one e-mail, without attachments"),
            Self::CutOff => ("there is {part}, but it is cut off: its end is missing", WHOLE),
            Self::Changed => {
                ("there is {part}, but its checksum does not fit: it was changed or cut off when it was copied", WHOLE)
            }
            Self::IsPartTwo => (
                "what was pasted is part 2, which came by pickup; part 1 came by e-mail",
                "paste the e-mail, or from it what follows “Part 1”: it has the word mail in it",
            ),
            Self::PairMissing => {
                ("{part} of the pair {label} is missing", "every pair has a part of its own: paste the whole e-mail")
            }
            Self::PairCutOff => ("{part} of the pair {label} is not whole: it is cut off, its end is missing", WHOLE),
            Self::PairChanged => (
                "{part} of the pair {label} is not whole: its checksum does not fit, it was changed or cut off when it was \
                 copied",
                WHOLE,
            ),
            Self::Several => (
                "there are several different versions of {part} of the pair {label}",
                "paste it once, from the e-mail itself",
            ),
            Self::DoNotFit => (
                "pair {label}: both parts are whole, but they do not fit together: they are not of one secret",
                "tell the agency, and quote the delivery reference",
            ),
            Self::OtherDelivery => (
                "this e-mail belongs to delivery {theirs}, and what is picked up is delivery {ours}",
                "find the e-mail whose subject names {ours}; after a new issue only the newest e-mail counts",
            ),
            Self::OtherReplaced => (
                "this e-mail belongs to delivery {theirs}, which was replaced by {newer} on {time}",
                "use the e-mail with {newer}",
            ),
            Self::OtherOpen => (
                "this e-mail belongs to delivery {theirs}, which awaits you as well",
                "use the e-mail with {ours} here, or pick up {theirs} with this one",
            ),
        }
    }

    fn in_swedish(self) -> (&'static str, &'static str) {
        const WHOLE: &str = "kopiera den från första bokstaven i tally1 till sista tecknet före nästa tomma rad; det går \
                             också bra att klistra in hela brevet";
        match self {
            Self::NoPart => (
                "det finns ingen del i det som klistrades in",
                "en del börjar med tally1. och står i brevet under ”Del 1”; öppna brevet i ett e-postprogram och klistra in \
                 hela texten",
            ),
            Self::TooLong => ("det är för mycket för att vara ett brev", "klistra in ett brev, utan bilagor"),
            Self::CutOff => ("det finns {part}, men den är avklippt: slutet saknas", WHOLE),
            Self::Changed => (
                "det finns {part}, men dess kontrollsumma stämmer inte: den ändrades eller klipptes av när den kopierades",
                WHOLE,
            ),
            Self::IsPartTwo => (
                "det som klistrades in är del 2, som hämtas här; del 1 kom med e-post",
                "klistra in brevet, eller ur det vad som står under ”Del 1”: där står ordet mail",
            ),
            Self::PairMissing => {
                ("{part} av nyckelparet {label} saknas", "varje par har en egen del: klistra in hela brevet")
            }
            Self::PairCutOff => ("{part} av nyckelparet {label} är inte hel: den är avklippt, slutet saknas", WHOLE),
            Self::PairChanged => (
                "{part} av nyckelparet {label} är inte hel: kontrollsumman stämmer inte, den ändrades eller klipptes av när \
                 den kopierades",
                WHOLE,
            ),
            Self::Several => (
                "det finns flera olika versioner av {part} av nyckelparet {label}",
                "klistra in den en gång, ur själva brevet",
            ),
            Self::DoNotFit => (
                "nyckelparet {label}: båda delarna är hela, men de passar inte ihop: de hör inte till samma nyckel",
                "säg till myndigheten, och uppge leveransens beteckning",
            ),
            Self::OtherDelivery => (
                "brevet hör till leverans {theirs}, och det som hämtas är leverans {ours}",
                "leta upp brevet vars ämnesrad anger {ours}; efter nya nycklar gäller bara det nyaste brevet",
            ),
            Self::OtherReplaced => {
                ("brevet hör till leverans {theirs}, som ersattes av {newer} den {time}", "använd brevet med {newer}")
            }
            Self::OtherOpen => (
                "brevet hör till leverans {theirs}, som också väntar på er",
                "använd brevet med {ours} här, eller hämta {theirs} med det här brevet",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn places(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).filter_map(|after| after.split_once('}')).map(|(name, _)| name).collect()
    }

    #[test]
    fn every_mistake_is_told_apart_in_both_languages_with_the_same_things_named() {
        for language in Language::ALL {
            let all: BTreeSet<_> = Mistake::ALL.iter().map(|mistake| mistake.said(*language).what).collect();
            assert_eq!(all.len(), Mistake::ALL.len());
        }
        for mistake in Mistake::ALL {
            let [sv, en] = [Language::Sv, Language::En].map(|language| mistake.said(language));
            assert_eq!(places(sv.what), places(en.what), "{mistake}");
            assert_eq!(places(sv.remedy), places(en.remedy), "{mistake}");
        }
    }

    #[test]
    fn sentences_begin_with_a_capital_and_are_about_part_1() {
        let said = Mistake::PairMissing.sentences(Language::En);
        assert_eq!(
            said,
            "Part 1 of the pair {label} is missing. Every pair has a part of its own: paste the whole e-mail."
        );
        assert!(Mistake::CutOff.sentences(Language::Sv).starts_with("Det finns en del, men den är avklippt"));
    }
}
