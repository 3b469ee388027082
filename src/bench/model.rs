//! What was measured, as it is kept in files: raw times, and what is computed from them.
//!
//! Nothing that can be computed is kept. Tables, plots and documents all come from [`Run`], so that a file of
//! raw data says everything again.
use super::statistics::{Difference, Interval, SYSTEMATIC, median, paired, spread};
use serde::{Deserialize, Serialize};

/// Spreads above this share of the median make a figure weak.
const WIDE_SPREAD: f64 = 0.15;

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
    /// What makes the numbers weak of the machine; of the figures [`Run::weaknesses`] says it.
    pub warnings: Vec<String>,
    /// What the first function costs that the program makes machine code of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_code: Option<FirstCode>,
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

/// The making of the very first machine code of a run, before anything else was compiled: there is one a process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FirstCode {
    /// The tier.
    pub tier: String,
    /// The function: [`Measured::title`].
    pub title: String,
    /// Microseconds from the plan to code that can be called.
    pub us: f64,
}

/// Whether machine code is worth its making.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pays {
    /// From so many calls on.
    From(Interval),
    /// No difference was found.
    Undecided,
    /// It is slower.
    Never,
}

/// Where the time of a call goes, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Split {
    /// What this contender takes for the call.
    pub total: f64,
    /// What C takes for the same call, less the least that it takes for one of `int`s only.
    pub native: f64,
    /// The least that this contender takes beyond native work for a call of `int`s only: the same figure in all rows.
    pub call: f64,
}

impl Split {
    /// Arguments and results, checked and converted: what is left, if anything is.
    #[must_use]
    pub fn marshalling(&self) -> Option<f64> {
        Some(self.total - self.native - self.call).filter(|left| *left >= 0.0)
    }

    /// Native work, call and marshalling as shares of the total. Where the total is less than the first two, they are cut
    /// to it, in this order.
    #[must_use]
    pub fn shares(&self) -> [f64; 3] {
        if self.total <= 0.0 {
            return [0.0; 3];
        }
        let native = (self.native / self.total).min(1.0);
        let call = (self.call / self.total).min(1.0 - native);
        [native, call, 1.0 - native - call]
    }
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

    /// Where the time of a call goes; `None` for functions that call back, and where no calls of `int`s were measured.
    #[must_use]
    pub fn split(&self, row: &Measured, name: &str) -> Option<Split> {
        if row.calls_back() {
            return None;
        }
        let total = row.interval(name)?.median;
        Some(Split { total, native: self.native(row)?, call: self.call(name)? })
    }

    /// What C takes for the calls of a row beyond the least that it takes for any of `int`s.
    fn native(&self, row: &Measured) -> Option<f64> {
        let c = |row: &Measured| Some(row.interval("C")?.median);
        let least = self.of_ints().filter_map(c).reduce(f64::min)?;
        Some((c(row)? - least).max(0.0))
    }

    /// The least that a contender takes beyond native work for any of the calls of `int`s.
    fn call(&self, name: &str) -> Option<f64> {
        let beyond = |row: &Measured| Some(row.interval(name)?.median - self.native(row)?);
        Some(self.of_ints().filter_map(beyond).reduce(f64::min)?.max(0.0))
    }

    fn of_ints(&self) -> impl Iterator<Item = &Measured> {
        self.rows.iter().filter(|row| row.arguments.is_some())
    }

    /// What makes the numbers weak: first what is wrong with the machine, then the figures that spread, summed up.
    #[must_use]
    pub fn weaknesses(&self) -> Vec<String> {
        // Files of older programs have a line for each figure that spreads; it follows from the times.
        const OLD: &str = ": the middle half of the rounds spreads over ";
        let machine = self.warnings.iter().filter(|warning| !warning.contains(OLD));
        let mut said: Vec<String> = machine.cloned().collect();
        let mut figures = 0;
        let mut wide: Vec<(f64, &str, &str)> = Vec::new();
        for row in &self.rows {
            for times in &row.contenders {
                figures += 1;
                let spread = row.spread(&times.name).filter(|spread| *spread > WIDE_SPREAD);
                wide.extend(spread.map(|spread| (spread, &*row.title, &*times.name)));
            }
        }
        wide.sort_by(|one, other| other.0.total_cmp(&one.0));
        if let Some((spread, title, name)) = wide.first() {
            said.push(format!(
                "the middle half of the rounds spreads over more than {:.0} % of the median in {} of {figures} figures; \
                 the widest is {title}, {name}: {:.0} %",
                100.0 * WIDE_SPREAD,
                wide.len(),
                100.0 * spread
            ));
        }
        said
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

    /// C's loop around it is in the program's text, and not where libraries and the code of guests are.
    #[must_use]
    pub fn is_far(&self) -> bool {
        const FAR: [&str; 4] = ["crc32_64", "crc32_65536", "qsort", "sqlite_step"];
        self.group == "your own" || FAR.contains(&&*self.id)
    }

    /// It calls functions of the guest: one of its parameters is a function's address.
    #[must_use]
    pub fn calls_back(&self) -> bool {
        self.prototype.contains("(*")
    }

    /// Whether it pays to make the code of `tier` instead of going on with `slower`: only a [clear](Interval::clear)
    /// difference does. The interval is that of the calls' saving, by rounds, and of the code's cost, both at their ends.
    #[must_use]
    pub fn pays(&self, tier: &str, slower: &str) -> Option<Pays> {
        let cost = self.code(tier)?;
        let (times, others) = (self.times(tier)?, self.times(slower)?);
        let clear = self.ratio(tier, slower)?.clear();
        let saved = Interval::of(&paired(others, times, |other, time| other - time));
        let of_medians = median(times) / median(others);
        Some(match clear {
            Difference::Faster if saved.low > 0.0 && of_medians < 1.0 - SYSTEMATIC => {
                let calls = |us: f64, ns: f64| (us * 1e3 / ns).ceil();
                Pays::From(Interval {
                    low: calls(cost.low, saved.high),
                    median: calls(cost.median, saved.median),
                    high: calls(cost.high, saved.low),
                })
            }
            Difference::Slower if of_medians > 1.0 => Pays::Never,
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
