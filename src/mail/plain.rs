//! The plain text of a mail in lines that every program shows whole, also after it was quoted a few times. What the
//! lines say is in the templates, which have one line for each paragraph.

/// The longest line that is left as it is, in characters (RFC 5322, section 2.1.1).
const LINE_MAX: usize = 78;

/// The longest line of a paragraph that was divided: a reply puts its marks before it.
const WIDTH: usize = 72;

/// A line of a command begins with this. What a shell reads was divided by hand.
const COMMAND: &str = "    ";

/// How much of a part of a secret stands in one line.
const PART_WIDTH: usize = 64;

/// The values of a table begin within this many characters.
const HANGING_MAX: usize = 24;

/// `text` with its paragraphs in lines of bounded length; what follows the first line of a list's item or of a table's row
/// stands below its beginning. A word that is longer than a line, as an address on the web may be, is never divided.
pub(super) fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len() + text.len() / 8 + 64);
    for line in text.lines() {
        if line.chars().count() <= LINE_MAX || line.starts_with(COMMAND) {
            folded.push_str(line.trim_end());
        } else {
            fold(line, &mut folded);
        }
        folded.push('\n');
    }
    folded
}

/// A part of a secret in lines: it is pure ASCII, and whoever reads it takes the lines together again.
pub(super) fn part_in_lines(share: &str) -> Vec<&str> {
    let end = |start: usize| share.len().min(start + PART_WIDTH);
    (0..share.len()).step_by(PART_WIDTH).filter_map(|start| share.get(start..end(start))).collect()
}

fn fold(line: &str, folded: &mut String) {
    let (beginning, rest) = line.split_at(hanging(line));
    let indent = beginning.chars().count();
    folded.push_str(beginning);
    let mut column = indent;
    for word in rest.split(' ').filter(|word| !word.is_empty()) {
        let length = word.chars().count();
        if column > indent && column + 1 + length > WIDTH {
            folded.push('\n');
            folded.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        } else if column > indent {
            folded.push(' ');
            column += 1;
        }
        folded.push_str(word);
        column += length;
    }
}

/// Where the text of an item ("1. ") or the value of a row ("Delivery:  ") begins, in bytes.
fn hanging(line: &str) -> usize {
    let after_number = line.trim_start_matches(|character: char| character.is_ascii_digit());
    if after_number.len() < line.len() && after_number.starts_with(". ") {
        return line.len() - after_number.len() + 2;
    }
    let row = line.find(":  ").map(|colon| line.len() - line.get(colon + 1..).unwrap_or_default().trim_start().len());
    row.filter(|value| *value <= HANGING_MAX).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_items_and_rows_are_divided_at_words_and_hang() {
        let word = "word ".repeat(20);
        let text = format!("{word}\n\n1. {word}\nWho may:     {word}\n    {word}\nshort  line \n");
        let words = |number: usize| vec!["word"; number].join(" ");
        let expected = [
            words(14),
            words(6),
            String::new(),
            format!("1. {}", words(14)),
            format!("   {}", words(6)),
            format!("Who may:     {}", words(12)),
            format!("{}{}", " ".repeat(13), words(8)),
            format!("    {}", words(20)),
            "short  line\n".to_owned(),
        ]
        .join("\n");
        assert_eq!(*folded(&text), expected);
    }

    #[test]
    fn a_long_word_is_left_whole_and_a_name_cannot_push_the_text_aside() {
        let address = format!("https://{}/", "a".repeat(190));
        assert_eq!(*folded(&format!("See {address} or not.")), format!("See\n{address}\nor not.\n"));
        let name = format!("{}:  {}", "ä".repeat(30), "word ".repeat(20));
        let folded = folded(&name);
        assert!(folded.lines().all(|line| line.chars().count() <= WIDTH && !line.starts_with(' ')), "{folded}");
    }

    #[test]
    fn a_part_in_lines_is_the_part() {
        for length in [0, 1, 63, 64, 65, 130] {
            let share = "x".repeat(length);
            let lines = part_in_lines(&share);
            assert!(lines.iter().all(|line| (1..=PART_WIDTH).contains(&line.len())));
            assert_eq!(lines.concat(), share);
        }
    }
}
