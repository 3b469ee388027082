//! Tables of plain text.
use anstyle::Style;

/// Columns as wide as their widest cell, two spaces apart; the last one is never padded.
#[derive(Default)]
pub struct Table {
    rows: Vec<Vec<Cell>>,
}

/// One cell: a line of text, and how it is shown.
#[derive(Clone)]
pub struct Cell {
    text: String,
    style: Style,
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Cell {
        Cell { text: text.into(), style: Style::new() }
    }
}

impl Cell {
    /// A cell that is shown in that style.
    pub fn styled(text: impl Into<String>, style: Style) -> Cell {
        Cell { text: text.into(), style }
    }
}

impl Table {
    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// How wide all columns are but the last, with what separates them.
    pub fn width_but_last(&self) -> usize {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.text.chars().count()).max().unwrap_or(0)
        };
        (0..columns.saturating_sub(1)).map(|column| width(column) + 2).sum()
    }

    /// As [`Table::show`], with the last column's cells in several lines where they are too long for so wide a terminal.
    pub fn show_in(&self, indent: usize, width: Option<usize>) -> String {
        let before = indent + self.width_but_last();
        let Some(room) = width.and_then(|width| width.checked_sub(before)) else {
            return self.show(indent);
        };
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let mut rows = Vec::new();
        for row in &self.rows {
            let last = row.get(columns.saturating_sub(1));
            let long = last.filter(|cell| cell.text.chars().count() > room);
            let Some(long) = long else {
                rows.push(row.clone());
                continue;
            };
            let text = filled(&long.text, Some(room));
            for (number, line) in text.lines().enumerate() {
                let mut cells = match number {
                    0 => row.clone(),
                    _ => vec![Cell::from(""); columns],
                };
                if let Some(last) = cells.last_mut() {
                    line.clone_into(&mut last.text);
                }
                rows.push(cells);
            }
        }
        Table { rows }.show(indent)
    }

    /// The text, each line after `indent` spaces.
    pub fn show(&self, indent: usize) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.text.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let last = row.iter().rposition(|cell| !cell.text.is_empty());
            let shown = last.map_or(&[][..], |last| &row[..=last]);
            if !shown.is_empty() {
                text.push_str(&" ".repeat(indent));
            }
            for (column, (cell, width)) in shown.iter().zip(&widths).enumerate() {
                let Cell { text: content, style } = cell;
                text.push_str(&format!("{style}{content}{style:#}"));
                if Some(column) != last {
                    text.push_str(&" ".repeat(width - content.chars().count() + 2));
                }
            }
            text.push('\n');
        }
        text
    }
}

/// Columns of the terminal that standard output is; `None` where it is none, unless `COLUMNS` says how many there are.
pub fn width() -> Option<usize> {
    let said = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    said.or_else(terminal).filter(|width| *width > 0)
}

#[expect(unsafe_code, reason = "asks the terminal")]
fn terminal() -> Option<usize> {
    // SAFETY: plain data, all zeros is fine.
    let mut size: libc::winsize = unsafe { std::mem::zeroed() };
    // SAFETY: the call fills such a struct, or fails where there is no terminal.
    let done = unsafe { libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &raw mut size) };
    (done == 0).then_some(size.ws_col.into())
}

/// Text in lines of at most so many columns, broken at spaces. Lines that are there stay, and what they begin with.
pub fn filled(text: &str, width: Option<usize>) -> String {
    let Some(width) = width else { return text.to_owned() };
    let mut lines = Vec::new();
    for line in text.lines() {
        let indent: String = line.chars().take_while(|c| *c == ' ').collect();
        let mut made = indent.clone();
        for word in line.split_whitespace() {
            let begun = made.len() > indent.len();
            if begun && made.chars().count() + 1 + word.chars().count() > width {
                lines.push(std::mem::replace(&mut made, indent.clone()));
            } else if begun {
                made.push(' ');
            }
            made.push_str(word);
        }
        lines.push(made);
    }
    lines.join("\n")
}

/// `1 function`, `2 functions`.
pub fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_have_no_trailing_blanks() {
        let mut table = Table::default();
        table.row(["a".into(), "long one".into(), "x".into()]);
        table.row(["äöü".into(), "b".into(), "".into()]);
        table.row(["".into()]);
        assert_eq!(table.show(2), "  a    long one  x\n  äöü  b\n\n");
    }

    #[test]
    fn long_cells_of_the_last_column_are_broken() {
        let mut table = Table::default();
        table.row(["a".into(), "one two three".into()]);
        table.row(["b".into(), "four".into()]);
        assert_eq!(table.width_but_last(), 3);
        assert_eq!(table.show_in(0, Some(11)), "a  one two\n   three\nb  four\n");
        assert_eq!(table.show_in(0, None), "a  one two three\nb  four\n");
    }

    #[test]
    fn text_is_filled_and_long_words_stay_whole() {
        assert_eq!(filled("one two three", Some(7)), "one two\nthree");
        assert_eq!(filled("  in dented\nnext", Some(6)), "  in\n  dented\nnext");
        assert_eq!(filled("unbreakable x", Some(4)), "unbreakable\nx");
        assert_eq!(filled("a  b", None), "a  b");
    }
}
