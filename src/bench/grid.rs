//! Tables of text, as wide as they may be.
use std::fmt::Write as _;

/// A table: heads, and rows of cells. All but the first column are numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grid {
    /// What it shows.
    pub title: String,
    /// One a column, with its unit.
    pub heads: Vec<String>,
    /// The cells.
    pub rows: Vec<Vec<String>>,
}

impl Grid {
    /// The table, numbers at the right of their columns.
    #[must_use]
    pub fn text(&self) -> String {
        self.text_in(None)
    }

    /// The same in lines of at most so many letters, if that can be: in several tables, below one another, each with the
    /// first column, whose cells are in several lines where they are long.
    #[must_use]
    pub fn text_in(&self, width: Option<usize>) -> String {
        let mut text = wrapped(&self.title, width, "");
        let all = || std::iter::once(&self.heads).chain(&self.rows);
        let widest = |column: usize| {
            all().filter_map(|row| Some(row.get(column)?.chars().count())).max().unwrap_or(0)
        };
        // Two blanks are between columns, one is before the first.
        let others: Vec<usize> = (1..self.heads.len()).map(|column| widest(column) + 2).collect();
        let first = match width {
            Some(width) if 2 + widest(0) + others.iter().sum::<usize>() > width => {
                let largest = others.iter().max().copied().unwrap_or(0);
                widest(0).min((width / 3).max(width.saturating_sub(2 + largest * 3))).max(8)
            }
            _ => widest(0),
        };
        let mut from = 1;
        loop {
            let mut columns = 0;
            let mut taken = 2 + first;
            while let Some(more) = others.get(from - 1 + columns) {
                if columns > 0 && width.is_some_and(|width| taken + more > width) {
                    break;
                }
                taken += more;
                columns += 1;
            }
            if from > 1 {
                text.push('\n');
            }
            for row in all() {
                line(row, first, &others, (from, columns), &mut text);
            }
            from += columns.max(1);
            if from >= self.heads.len() {
                return text;
            }
        }
    }

    /// The table in Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = format!("| {} |\n|---|", self.heads.join(" | "));
        text.push_str(&"--:|".repeat(self.heads.len().saturating_sub(1)));
        text.push('\n');
        for row in &self.rows {
            let cells: Vec<String> =
                row.iter().map(|cell| cell.replace('|', "\\|").replace('*', "\\*")).collect();
            let _ = writeln!(text, "| {} |", cells.join(" | "));
        }
        text
    }
}

/// A row's first cell, and so many others from one on.
fn line(
    row: &[String],
    first: usize,
    widths: &[usize],
    (from, count): (usize, usize),
    text: &mut String,
) {
    let title = row.first().map_or("", |cell| cell);
    let mut titles = broken(title, Some(first)).into_iter();
    let mut line = format!("  {:<first$}", titles.next().unwrap_or_default());
    for (cell, width) in row.iter().skip(from).zip(&widths[from - 1..]).take(count) {
        let _ = write!(line, "{cell:>width$}");
    }
    let _ = writeln!(text, "{}", line.trim_end());
    for more in titles {
        let _ = writeln!(text, "    {more}");
    }
}

/// Text in lines of at most so many letters, broken at blanks; a word that is longer stays whole. Lines but the first begin
/// with `indent`.
pub(super) fn wrapped(text: &str, width: Option<usize>, indent: &str) -> String {
    let mut said = String::new();
    for line in text.lines() {
        let room = width.map(|width| width.saturating_sub(indent.chars().count()).max(1));
        for (number, line) in broken(line, room).iter().enumerate() {
            let indent = if number == 0 { "" } else { indent };
            let _ = writeln!(said, "{indent}{line}");
        }
    }
    said
}

fn broken(text: &str, width: Option<usize>) -> Vec<String> {
    let Some(width) = width.filter(|width| text.chars().count() > *width) else {
        return vec![text.to_owned()];
    };
    let mut lines = Vec::new();
    let before: String = text.chars().take_while(|c| *c == ' ').collect();
    let mut line = before;
    let mut begun = false;
    for word in text.split_whitespace() {
        if begun && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(std::mem::take(&mut line));
        } else if begun {
            line.push(' ');
        }
        line.push_str(word);
        begun = true;
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Grid {
        let cells = |row: [&str; 5]| row.map(str::to_owned).to_vec();
        Grid {
            title: "what it shows, in words".to_owned(),
            heads: cells(["function", "one, ns", "two, ns", "three, ns", "four, ns"]),
            rows: vec![
                cells(["int f(void)", "1", "22", "3", "4"]),
                cells(["a long name of it", "5", "6", "7", "8"]),
            ],
        }
    }

    #[test]
    fn tables_that_fit_stay_as_they_are() {
        let whole = "what it shows, in words\n  function           one, ns  two, ns  three, ns  four, ns\n  \
                     int f(void)              1       22          3         4\n  \
                     a long name of it        5        6          7         8\n";
        assert_eq!(grid().text(), whole);
        assert_eq!(grid().text_in(Some(60)), whole);
    }

    #[test]
    fn tables_that_are_too_wide_are_several_with_the_same_first_column() {
        for width in [24, 32, 40, 50] {
            let text = grid().text_in(Some(width));
            assert!(text.lines().all(|line| line.chars().count() <= width), "{width}:\n{text}");
            // Every cell is there once, and each table has its first column.
            let words = |what: &str| text.split_whitespace().filter(|word| *word == what).count();
            for cell in ["1", "22", "3", "4", "5", "6", "7", "8"] {
                assert_eq!(words(cell), 1, "{width}, {cell}:\n{text}");
            }
            assert!(words("function") >= 2 && words("function") == words("f(void)"), "{text}");
        }
        // What cannot be broken stays whole.
        assert!(grid().text_in(Some(3)).contains("22"));
    }

    #[test]
    fn text_is_broken_at_blanks() {
        assert_eq!(wrapped("one two three", Some(9), "  "), "one two\n  three\n");
        assert_eq!(wrapped("  one two", Some(6), "    "), "  one\n    two\n");
        assert_eq!(wrapped("one two", None, "  "), "one two\n");
    }
}
