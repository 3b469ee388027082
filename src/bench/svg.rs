//! Drawings as SVG, whose colours are a style sheet's: the same drawing is read on light and on dark ground.
//!
//! No crate that makes plots leaves colours to CSS and has titles for screen readers, so this draws what few
//! plots need: axes, marks of different shapes, bars, lines.
use std::fmt::Write as _;

/// The style of drawings, and of what names colours in tables beside them. Contenders have the
/// colours `--c0` to `--c8`: [`color`].
pub const STYLE: &str = "
:root, svg { color-scheme: light dark;
  --ground: #ffffff; --ink: #1c2024; --soft: #5b6570; --line: #d5dae0; --faint: #eef1f4;
  --c0: #30363d; --c1: #8a6d00; --c2: #a1563f; --c3: #8b5a9f; --c4: #a04a7d; --c5: #c9510c;
  --c6: #7b5ad6; --c7: #0f7b6c; --c8: #0b62c4; }
@media (prefers-color-scheme: dark) { :root, svg {
  --ground: #14171a; --ink: #e6e9ec; --soft: #a0a9b2; --line: #3a4149; --faint: #22272c;
  --c0: #c9d1d9; --c1: #d9b43a; --c2: #d98f78; --c3: #c79bd8; --c4: #e08cbc; --c5: #f0883e;
  --c6: #b392f0; --c7: #3fc8b0; --c8: #6cb6ff; } }
svg { background: var(--ground); font: 13px system-ui, sans-serif; }
svg text { fill: var(--ink); } svg .soft { fill: var(--soft); font-size: 12px; }
svg .grid { stroke: var(--line); stroke-width: 1; } svg .band { fill: var(--faint); }
svg .bar { stroke: var(--ground); stroke-width: 1; }
svg .curve { fill: none; stroke-width: 2; } svg .thin { stroke-width: 1.5; }
";

/// The number of a contender's colour.
#[must_use]
pub fn color(name: &str) -> usize {
    match name {
        "C" => 0,
        "wrap" => 1,
        "floor" => 2,
        "libffi" => 3,
        "interpreter" => 5,
        "template" => 6,
        "cranelift" => 7,
        "direct" => 8,
        _ => 4,
    }
}

/// A drawing in the making.
#[derive(Debug)]
pub struct Svg {
    width: f64,
    height: f64,
    title: String,
    text: String,
}

impl Svg {
    /// An empty one, in pixels. `title` says what is seen to who does not see it.
    #[must_use]
    pub fn new(width: f64, height: f64, title: &str) -> Svg {
        Svg { width, height, title: title.to_owned(), text: String::new() }
    }

    /// A line of a grid.
    pub fn grid(&mut self, from: (f64, f64), to: (f64, f64)) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.add(format_args!(
            "<line class=\"grid\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
        ));
    }

    /// Ground behind every other row.
    pub fn band(&mut self, y: f64, height: f64) {
        let width = self.width;
        self.add(format_args!(
            "<rect class=\"band\" x=\"0\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>"
        ));
    }

    /// Words. `anchor` is `start`, `middle` or `end`.
    pub fn words(&mut self, (x, y): (f64, f64), anchor: &str, class: &str, words: &str) {
        let words = escaped(words);
        self.add(format_args!(
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>"
        ));
    }

    /// A bar, with what is told of it.
    pub fn bar(&mut self, x: f64, y: f64, (width, height): (f64, f64), fill: &str, told: &str) {
        let told = escaped(told);
        self.add(format_args!(
            "<rect class=\"bar mark\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" \
             style=\"{fill}\"><title>{told}</title></rect>"
        ));
    }

    /// A whisker: from where to where something is.
    pub fn whisker(&mut self, (low, high): (f64, f64), y: f64, name: &str) {
        let color = color(name);
        self.add(format_args!(
            "<line class=\"thin\" x1=\"{low:.1}\" y1=\"{y:.1}\" x2=\"{high:.1}\" y2=\"{y:.1}\" \
             style=\"stroke:var(--c{color})\"/>"
        ));
    }

    /// A contender's mark: each has a shape of its own, for those who do not tell the colours apart.
    pub fn mark(&mut self, (x, y): (f64, f64), name: &str, told: &str) {
        let told = escaped(told);
        let shape = match color(name) {
            0 => polygon(x, y, &[(-1.2, -4.5), (1.2, -4.5), (1.2, 4.5), (-1.2, 4.5)]),
            1 => polygon(x, y, &[(-4.0, -4.0), (4.0, -4.0), (4.0, 4.0), (-4.0, 4.0)]),
            5 => polygon(x, y, &[(0.0, -5.0), (5.0, 4.0), (-5.0, 4.0)]),
            6 => polygon(x, y, &[(0.0, 5.0), (5.0, -4.0), (-5.0, -4.0)]),
            7 => polygon(x, y, &[(0.0, -5.5), (5.5, 0.0), (0.0, 5.5), (-5.5, 0.0)]),
            8 => format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4.5\""),
            _ => polygon(x, y, &[(-5.0, -1.5), (5.0, -1.5), (5.0, 1.5), (-5.0, 1.5)]),
        };
        let color = color(name);
        self.add(format_args!(
            "{shape} class=\"mark\" style=\"fill:var(--c{color})\"><title>{told}</title>{}",
            if shape.starts_with("<circle") { "</circle>" } else { "</polygon>" }
        ));
    }

    /// A line through points.
    pub fn curve(&mut self, points: &[(f64, f64)], name: &str) {
        let mut path = String::new();
        for (at, (x, y)) in points.iter().enumerate() {
            let _ = write!(path, "{}{x:.1} {y:.1}", if at == 0 { "M" } else { "L" });
        }
        let color = color(name);
        self.add(format_args!(
            "<path class=\"curve mark\" d=\"{path}\" style=\"stroke:var(--c{color})\"><title>{}</title></path>",
            escaped(name)
        ));
    }

    /// The names of contenders with their marks, in a row from the left.
    pub fn legend(&mut self, (x, y): (f64, f64), names: &[&str]) {
        let mut x = x;
        for name in names {
            self.mark((x, y - 4.0), name, name);
            self.words((x + 10.0, y), "start", "", name);
            x += 30.0 + 7.5 * as_f64(name.chars().count());
        }
    }

    fn add(&mut self, what: std::fmt::Arguments<'_>) {
        // A string takes everything.
        let _ = writeln!(self.text, "{what}");
    }

    /// The drawing, for a page that has [`STYLE`].
    #[must_use]
    pub fn finish(self) -> String {
        self.with("")
    }

    /// The drawing as a file of its own.
    #[must_use]
    pub fn alone(self) -> String {
        self.with(&format!("<style>{STYLE}</style>\n"))
    }

    fn with(self, style: &str) -> String {
        let Svg { width, height, title, text } = self;
        let title = escaped(&title);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
             width=\"{width:.0}\" height=\"{height:.0}\" role=\"img\" aria-label=\"{title}\">\n\
             <title>{title}</title>\n{style}{text}</svg>\n"
        )
    }
}

fn polygon(x: f64, y: f64, points: &[(f64, f64)]) -> String {
    let points: Vec<String> =
        points.iter().map(|(dx, dy)| format!("{:.1},{:.1}", x + dx, y + dy)).collect();
    format!("<polygon points=\"{}\"", points.join(" "))
}

/// Text between tags and in attributes.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A scale of powers of ten.
#[derive(Clone, Copy, Debug)]
pub struct Log {
    /// The value at the beginning, and at the end: powers of ten.
    low: f64,
    high: f64,
    /// Where these are.
    from: f64,
    to: f64,
}

impl Log {
    /// The scale that has all of `values`, between two places.
    pub fn over(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Log {
        let values = values.filter(|value| *value > 0.0 && value.is_finite());
        let (low, high) = values
            .fold((f64::INFINITY, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
        let (low, high) = if low > high { (1.0, 10.0) } else { (low, high) };
        let low = low.log10().floor();
        let high = high.log10().ceil().max(low + 1.0);
        Log { low, high, from, to }
    }

    /// Where a value is. Those below the scale are at its beginning.
    #[must_use]
    pub fn at(&self, value: f64) -> f64 {
        let log = value.max(f64::MIN_POSITIVE).log10().clamp(self.low, self.high);
        self.from + (log - self.low) / (self.high - self.low) * (self.to - self.from)
    }

    /// Its powers of ten.
    #[must_use]
    pub fn powers(&self) -> Vec<f64> {
        let mut powers = Vec::new();
        let mut power = self.low;
        while power <= self.high + 0.5 {
            powers.push(10f64.powf(power));
            power += 1.0;
        }
        powers
    }
}

/// A small whole number.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "numbers of rows and letters, far below 2^52")]
pub fn as_f64(n: usize) -> f64 {
    n as f64
}
