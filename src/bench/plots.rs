//! The plots of a run. Beside each goes the table that says the same: [`text`].
use super::model::{Measured, Pays, Run};
use super::statistics::{Time, digits};
use super::svg::{Log, Svg, as_f64, color};
use super::text::{self, SPLIT, without_code};

/// A plot: a drawing, and what it shows.
pub struct Plot {
    /// Its name in files.
    pub id: &'static str,
    /// What it shows.
    pub title: &'static str,
    /// How it is read.
    pub caption: String,
    drawing: Svg,
}

impl std::fmt::Debug for Plot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plot").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Plot {
    /// As a part of a page.
    #[must_use]
    pub fn inline(self) -> String {
        self.drawing.finish()
    }

    /// As a file.
    #[must_use]
    pub fn file(self) -> String {
        self.drawing.alone()
    }
}

const WIDTH: f64 = 900.0;
/// Where plots begin, behind names of functions.
const LEFT: f64 = 370.0;
const RIGHT: f64 = WIDTH - 40.0;

/// All plots that there is something to draw for.
#[must_use]
pub fn plots(run: &Run) -> Vec<Plot> {
    [costs(run), splits(run), break_even(run), arguments(run)].into_iter().flatten().collect()
}

/// A title that fits into the room at the left.
fn fitted(title: &str) -> String {
    const MOST: usize = 48;
    if title.chars().count() <= MOST {
        return title.to_owned();
    }
    title.chars().take(MOST - 1).chain(['…']).collect()
}

/// A power of ten as people write it.
fn power(value: f64) -> String {
    if value >= 1e4 {
        format!("10{}", superscript(value.log10().round()))
    } else {
        format!("{value}")
    }
}

fn superscript(exponent: f64) -> String {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let digit = |c: char| c.to_digit(10).map_or('⁻', |d| DIGITS[d as usize]);
    format!("{exponent:.0}").chars().map(digit).collect()
}

/// Cost by signature and contender: marks on a line a function.
fn costs(run: &Run) -> Option<Plot> {
    const STEP: f64 = 26.0;
    const TOP: f64 = 70.0;
    let rows: Vec<&Measured> = run.listed().collect();
    let names = run.names();
    let medians = rows
        .iter()
        .flat_map(|row| names.iter().filter_map(|name| Some(row.interval(name)?.median)));
    let scale = Log::over(medians, LEFT, RIGHT);
    let bottom = TOP + STEP * as_f64(rows.len());
    let title = "What a call costs, by function and contender";
    let mut svg = Svg::new(WIDTH, bottom + 50.0, title);
    svg.legend((LEFT, 24.0), &names);
    for (at, row) in rows.iter().enumerate() {
        let y = TOP + STEP * as_f64(at);
        if at % 2 == 0 {
            svg.band(y, STEP);
        }
        svg.words((LEFT - 16.0, y + 17.0), "end", "", &fitted(&row.title));
    }
    for value in scale.powers() {
        let x = scale.at(value);
        svg.grid((x, TOP), (x, bottom));
        svg.words(
            (x, TOP - 10.0),
            "middle",
            "soft",
            &Time(value).to_string().replace(".00", "").replace(".0", ""),
        );
    }
    for (at, row) in rows.iter().enumerate() {
        let y = TOP + STEP * (as_f64(at) + 0.5);
        for name in names.iter().rev() {
            let Some(found) = row.interval(name) else { continue };
            svg.whisker((scale.at(found.low), scale.at(found.high)), y, name);
            let told = format!(
                "{}, {name}: {} [{}, {}]",
                row.title,
                Time(found.median),
                Time(found.low),
                Time(found.high)
            );
            svg.mark((scale.at(found.median), y), name, &told);
        }
    }
    svg.words(
        (f64::midpoint(LEFT, RIGHT), bottom + 30.0),
        "middle",
        "soft",
        "time a call, logarithmic",
    );
    Some(Plot {
        id: "costs",
        title,
        caption:
            "Medians, net of the empty loop; the scale is logarithmic. The lines at marks are 95 % \
                  intervals, most of which are narrower than the marks."
                .to_owned(),
        drawing: svg,
    })
    .filter(|_| !rows.is_empty())
}

/// The parts of a call's time, and how they are filled.
const PARTS: [(&str, &str); 3] = [
    ("native work", "fill:var(--c0)"),
    ("the call itself", "fill:var(--c8)"),
    ("arguments, result, rest", "fill:var(--c5)"),
];

/// Native work, call and marshalling, as shares.
fn splits(run: &Run) -> Option<Plot> {
    const BAR: f64 = 13.0;
    const TOP: f64 = 60.0;
    let (left, right) = (LEFT + 80.0, RIGHT - 40.0);
    let rows: Vec<(&Measured, Vec<_>)> = run
        .listed()
        .map(|row| {
            let splits = SPLIT.iter().filter_map(|name| Some((*name, run.split(row, name)?)));
            (row, splits.collect())
        })
        .filter(|(_, splits): &(_, Vec<_>)| !splits.is_empty())
        .collect();
    let bars: usize = rows.iter().map(|(_, splits)| splits.len()).sum();
    let bottom = TOP + BAR * as_f64(bars) + 10.0 * as_f64(rows.len());
    let title = "Where the time of a call goes";
    let mut svg = Svg::new(WIDTH, bottom + 20.0, title);
    let mut x = left;
    for (name, fill) in PARTS {
        svg.bar(x, 13.0, (12.0, 12.0), fill, name);
        svg.words((x + 18.0, 24.0), "start", "", name);
        x += 40.0 + 7.5 * as_f64(name.len());
    }
    for percent in [0.0, 25.0, 50.0, 75.0, 100.0] {
        let x = left + (right - left) * percent / 100.0;
        svg.grid((x, TOP), (x, bottom));
        svg.words((x, TOP - 8.0), "middle", "soft", &format!("{percent} %"));
    }
    let mut y = TOP + 5.0;
    for (row, splits) in &rows {
        let middle = y + BAR * as_f64(splits.len()) / 2.0 + 4.0;
        svg.words((LEFT - 16.0, middle), "end", "", &fitted(&row.title));
        for (name, split) in splits {
            svg.words((left - 8.0, y + BAR - 3.0), "end", "soft", name);
            let parts = [Some(split.native), Some(split.call), split.marshalling()];
            let mut x = left;
            for (((part, fill), time), share) in PARTS.iter().zip(parts).zip(split.shares()) {
                let width = (right - left) * share;
                let time = time.map_or("none left".to_owned(), |time| Time(time).to_string());
                let told = format!("{}, {name}, {part}: {time}, {:.0} %", row.title, 100.0 * share);
                svg.bar(x, y, (width, BAR - 2.0), fill, &told);
                x += width;
            }
            let all = Time(split.total).to_string();
            svg.words((right + 6.0, y + BAR - 3.0), "start", "soft", &all);
            y += BAR;
        }
        y += 10.0;
    }
    Some(Plot {
        id: "split",
        title,
        caption: [Some(text::PARTS.to_owned()), text::not_split(run)]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" "),
        drawing: svg,
    })
    .filter(|_| !rows.is_empty())
}

/// Time until so many calls are done, code included.
fn break_even(run: &Run) -> Option<Plot> {
    const TOP: f64 = 60.0;
    const BOTTOM: f64 = 400.0;
    let shows = |row: &&Measured| {
        ["cranelift", "direct"]
            .iter()
            .any(|tier| row.code(tier).is_some() && row.interval(tier).is_some())
    };
    let rows: Vec<&Measured> = run.listed().filter(shows).collect();
    let row = rows.iter().find(|row| row.id == "buffer").or(rows.last())?;
    let names: Vec<&str> = ["interpreter", "template", "cranelift", "direct"]
        .into_iter()
        .filter(|name| row.interval(name).is_some())
        .collect();
    let total = |name: &str, calls: f64| {
        let code = row.code(name).map_or(0.0, |code| code.median * 1e3);
        code + calls * row.interval(name).map_or(0.0, |found| found.median)
    };
    let (left, right) = (90.0, WIDTH - 130.0);
    let horizontal = Log::over([1.0, 1e7].into_iter(), left, right);
    let ends = names.iter().flat_map(|name| [total(name, 1.0), total(name, 1e7)]);
    let vertical = Log::over(ends, BOTTOM, TOP);
    let title = "From how many calls on machine code pays";
    let mut svg = Svg::new(WIDTH, BOTTOM + 60.0, title);
    svg.legend((left, 24.0), &names);
    for value in horizontal.powers() {
        let x = horizontal.at(value);
        svg.grid((x, TOP), (x, BOTTOM));
        svg.words((x, BOTTOM + 18.0), "middle", "soft", &power(value));
    }
    for value in vertical.powers() {
        let y = vertical.at(value);
        svg.grid((left, y), (right, y));
        let time = Time(value).to_string().replace(".00", "").replace(".0", "");
        svg.words((left - 8.0, y + 4.0), "end", "soft", &time);
    }
    svg.words((f64::midpoint(left, right), BOTTOM + 44.0), "middle", "soft", "calls");
    for name in &names {
        let calls = (0..=70).map(|at| 10f64.powf(f64::from(at) / 10.0));
        let points: Vec<(f64, f64)> =
            calls.map(|calls| (horizontal.at(calls), vertical.at(total(name, calls)))).collect();
        svg.curve(&points, name);
        if let Some((x, y)) = points.last() {
            svg.mark((*x, *y), name, &format!("{name}: {} for 10⁷ calls", Time(total(name, 1e7))));
        }
    }
    for tier in ["cranelift", "direct"] {
        if let Some(Pays::From(calls)) = row.pays(tier, without_code(row)) {
            let calls = calls.median;
            let (x, y) = (horizontal.at(calls), vertical.at(total(tier, calls)));
            let told = format!("{tier}: pays from {calls:.0} calls on");
            svg.mark((x, y), tier, &told);
        }
    }
    Some(Plot {
        id: "break-even",
        title,
        caption: format!(
            "The time until so many calls of “{}” are done, making the code included; both scales are \
             logarithmic. Marks on lines: from there on the code has paid. {}",
            row.title,
            text::on_break_even(run)
        ),
        drawing: svg,
    })
}

/// Cost by number of arguments.
fn arguments(run: &Run) -> Option<Plot> {
    const TOP: f64 = 60.0;
    const BOTTOM: f64 = 400.0;
    let rows = run.by_arguments();
    let names = run.names();
    let most = as_f64(rows.last().filter(|_| rows.len() > 1)?.0.max(1));
    let (left, right) = (90.0, WIDTH - 130.0);
    let medians = rows
        .iter()
        .flat_map(|(_, row)| names.iter().filter_map(|name| Some(row.interval(name)?.median)));
    let vertical = Log::over(medians, BOTTOM, TOP);
    let horizontal = |count: usize| left + (right - left) * as_f64(count) / most;
    let title = "What further arguments cost";
    let mut svg = Svg::new(WIDTH, BOTTOM + 60.0, title);
    svg.legend((left, 24.0), &names);
    for (count, _) in &rows {
        let x = horizontal(*count);
        svg.grid((x, TOP), (x, BOTTOM));
        svg.words((x, BOTTOM + 18.0), "middle", "soft", &count.to_string());
    }
    for value in vertical.powers() {
        let y = vertical.at(value);
        svg.grid((left, y), (right, y));
        let time = Time(value).to_string().replace(".00", "").replace(".0", "");
        svg.words((left - 8.0, y + 4.0), "end", "soft", &time);
    }
    svg.words((f64::midpoint(left, right), BOTTOM + 44.0), "middle", "soft", "int arguments");
    for name in &names {
        let points: Vec<(f64, f64, String)> = rows
            .iter()
            .filter_map(|(count, row)| {
                let found = row.interval(name)?;
                let told = format!("{count} arguments, {name}: {} ns", digits(found.median));
                Some((horizontal(*count), vertical.at(found.median), told))
            })
            .collect();
        let line: Vec<(f64, f64)> = points.iter().map(|(x, y, _)| (*x, *y)).collect();
        svg.curve(&line, name);
        for (x, y, told) in &points {
            svg.mark((*x, *y), name, told);
        }
        debug_assert!(color(name) < 9);
    }
    Some(Plot {
        id: "arguments",
        title,
        caption: "Functions of so many ints, each of which is passed another value; six fit into registers \
                  on x86-64. The scale is logarithmic."
            .to_owned(),
        drawing: svg,
    })
}
