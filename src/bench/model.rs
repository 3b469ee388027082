//! What was measured, as it is kept in files: raw times, and what is computed from them.
//!
//! Nothing that can be computed is kept. Tables, plots and documents all come from [`Run`], so that a file of
//! raw data says everything again.
use super::statistics::{Difference, Interval, paired, spread};
use serde::{Deserialize, Serialize};

/// The name of this shape of file.
pub const SCHEMA: &str = "portcullis-bench/1";

/// One run of the benchmark.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// [`SCHEMA`].
    pub schema: String,
    /// When it began: `2026-11-22T21:00:00Z`.
    pub when: String,
    /// The command line.
    pub command: Vec<String>,
    /// What was measured.
    pub program: Program,
    /// And where.
    pub machine: Machine,
    /// How often everything ran.
    pub rounds: usize,
    /// How long a sample took at least, in nanoseconds.
    pub sample_ns: f64,
    /// What makes the numbers weak.
    pub warnings: Vec<String>,
    /// The functions.
    pub rows: Vec<Measured>,
}

/// The program that was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Program {
    /// Its version.
    pub version: String,
    /// The commit that it was built from, if somebody says so.
    pub commit: Option<String>,
    /// The version of wasmtime.
    pub wasmtime: String,
    /// Other contenders' versions.
    pub others: Vec<String>,
}

/// The machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// How many cores it has.
    pub cores: usize,
    /// The one that was measured on.
    pub core: usize,
    /// Its type, where there are several.
    pub core_type: Option<String>,
    /// How its frequency is governed, if that is known.
    pub governor: Option<String>,
    /// The operating system.
    pub system: String,
}

/// One function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Its name in files.
    pub id: String,
    /// Its name in tables.
    pub title: String,
    /// Its heading.
    pub group: String,
    /// The prototype.
    pub prototype: String,
    /// How many arguments, in rows that differ in that only.
    pub arguments: Option<usize>,
    /// It is in tables of signatures.
    pub listed: bool,
    /// The contenders.
    pub contenders: Vec<Times>,
    /// Those that there are not.
    pub absent: Vec<Absent>,
    /// How long it takes to make machine code of it.
    pub code: Vec<Code>,
}

/// The times of one contender.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// Its name.
    pub name: String,
    /// Nanoseconds a call, net of the empty loop, by round.
    pub ns: Vec<f64>,
}

/// A contender that there is not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Absent {
    /// Its name.
    pub name: String,
    /// Why not.
    pub why: String,
}

impl Absent {
    /// The whole reason, on one line.
    #[must_use]
    pub fn reason(&self) -> String {
        let lines = self.why.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.collect::<Vec<_>>().join("; ")
    }
}

/// Machine code of one tier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Code {
    /// The tier.
    pub tier: String,
    /// Microseconds from the plan to code that can be called, by round.
    pub us: Vec<f64>,
    /// Size of the code in bytes.
    pub bytes: usize,
}

/// Whether machine code is worth its making.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pays {
    /// From so many calls on.
    From(f64),
    /// No difference was found.
    Undecided,
    /// It is slower.
    Never,
}

/// Where the time of a call goes, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Split {
    /// What C takes for the same call, less what it takes for one that does nothing.
    pub native: f64,
    /// What this contender takes for a call that does nothing and has no arguments.
    pub call: f64,
    /// The rest: arguments and results, checked and converted.
    pub marshalling: f64,
}

impl Run {
    /// The rows with a place of their own.
    pub fn listed(&self) -> impl Iterator<Item = &Measured> {
        self.rows.iter().filter(|row| row.listed)
    }

    /// The rows that differ in the number of arguments only, by that number.
    #[must_use]
    pub fn by_arguments(&self) -> Vec<(usize, &Measured)> {
        let numbered = self.rows.iter().filter_map(|row| Some((row.arguments?, row)));
        let mut rows: Vec<_> = numbered.collect();
        rows.sort_by_key(|(count, _)| *count);
        rows
    }

    /// All contenders that tables show, in the order in which rows have them.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        const ORDER: [&str; 9] = [
            "C",
            "gcc",
            "wrap",
            "floor",
            "libffi",
            "interpreter",
            "template",
            "cranelift",
            "direct",
        ];
        let mut names: Vec<&str> = Vec::new();
        let shown = |row: &&Measured| row.listed || row.arguments.is_some();
        for row in self.rows.iter().filter(shown) {
            for times in &row.contenders {
                if !names.contains(&&*times.name) {
                    names.push(&times.name);
                }
            }
        }
        names.sort_by_key(|name| ORDER.iter().position(|known| known == name));
        names
    }

    /// Where the time goes, if there is a row of calls that do nothing.
    #[must_use]
    pub fn split(&self, row: &Measured, name: &str) -> Option<Split> {
        let nothing = self.rows.iter().find(|row| row.arguments == Some(0))?;
        let median = |row: &Measured, name: &str| Some(row.interval(name)?.median);
        let all = median(row, name)?;
        // What differences of medians leave over for one part, they take from the next.
        let native = (median(row, "C")? - median(nothing, "C")?).clamp(0.0, all.max(0.0));
        let call = median(nothing, name)?.clamp(0.0, all.max(0.0) - native);
        Some(Split { native, call, marshalling: all - native - call })
    }
}

impl Measured {
    /// A contender's times.
    #[must_use]
    pub fn times(&self, name: &str) -> Option<&[f64]> {
        Some(&self.contenders.iter().find(|times| times.name == name)?.ns)
    }

    /// Nanoseconds a call.
    #[must_use]
    pub fn interval(&self, name: &str) -> Option<Interval> {
        self.times(name).filter(|times| !times.is_empty()).map(Interval::of)
    }

    /// Why contenders are not there, each reason once, with the names of those that have it.
    #[must_use]
    pub fn reasons(&self) -> Vec<(Vec<&str>, String)> {
        let mut reasons: Vec<(Vec<&str>, String)> = Vec::new();
        for absent in &self.absent {
            let why = absent.reason();
            match reasons.iter_mut().find(|(_, known)| *known == why) {
                Some((names, _)) => names.push(&absent.name),
                None => reasons.push((vec![&absent.name], why)),
            }
        }
        reasons
    }

    /// How many times as long it takes as another one, by rounds.
    #[must_use]
    pub fn ratio(&self, name: &str, to: &str) -> Option<Interval> {
        let (times, others) = (self.times(name)?, self.times(to)?);
        (!times.is_empty() && times.len() == others.len())
            .then(|| Interval::of(&paired(times, others, |time, other| time / other)))
    }

    /// How far the middle half of the rounds spreads, as a share of the median.
    #[must_use]
    pub fn spread(&self, name: &str) -> Option<f64> {
        self.times(name).filter(|times| times.len() > 1).map(spread)
    }

    /// Microseconds that the code of a tier takes to make.
    #[must_use]
    pub fn code(&self, tier: &str) -> Option<Interval> {
        let code = self.code.iter().find(|code| code.tier == tier)?;
        (!code.us.is_empty()).then(|| Interval::of(&code.us))
    }

    /// Whether it pays to make the code of `tier` instead of going on with `slower`.
    #[must_use]
    pub fn pays(&self, tier: &str, slower: &str) -> Option<Pays> {
        let cost = self.code(tier)?.median * 1e3;
        let saved = self.interval(slower)?.median - self.interval(tier)?.median;
        Some(match self.ratio(tier, slower)?.difference() {
            Difference::Faster if saved > 0.0 => Pays::From((cost / saved).ceil()),
            Difference::Slower => Pays::Never,
            _ => Pays::Undecided,
        })
    }
}

/// The time of a second since 1970, as ISO 8601 has it.
#[must_use]
pub fn iso(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days since 1 March of the year 0, in eras of 400 years: Howard Hinnant's `civil_from_days`.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let (year, month) = (era * 400 + year, if month < 10 { month + 3 } else { month - 9 });
    let year = if month <= 2 { year + 1 } else { year };
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_381_124, "2026-11-22T20:58:44Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
        ] {
            assert_eq!(iso(seconds), text);
        }
    }
}
