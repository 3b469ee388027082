//! Tables of plain text.
use anstyle::Style;

/// Columns as wide as their widest cell, two spaces apart; the last one is never padded.
#[derive(Default)]
pub struct Table {
    rows: Vec<Vec<Cell>>,
}

/// One cell: a line of text, and how it is shown.
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
}
