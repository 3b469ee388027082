//! What the cases of a run were about and how they ended: cases that are all alike, or that were
//! left out, would prove little.
use crate::contender::Contender;
use crate::generate::{Batch, Case, MOST_PARAMS};
use crate::types::{Facts, Fill, SCALARS, Type};
use std::collections::BTreeMap;
use std::fmt;

/// So many differences are told in full.
const SHOWN: usize = 5;

#[derive(Default)]
pub struct Coverage {
    cases: usize,
    /// Cases by the number of parameters.
    params: [usize; MOST_PARAMS + 1],
    /// Cases by what their types hold.
    facts: BTreeMap<&'static str, usize>,
    /// Parameters and results by their scalar type.
    scalars: BTreeMap<&'static str, usize>,
    compilers: BTreeMap<&'static str, usize>,
    ran: BTreeMap<&'static str, usize>,
    wrong: BTreeMap<&'static str, usize>,
    /// Calls that differ from gcc as they are known to.
    excused: BTreeMap<&'static str, usize>,
    differences: Vec<String>,
}

impl Coverage {
    /// Counts a case.
    pub fn count(&mut self, batch: &Batch, case: &Case, compiler: &'static str) {
        self.cases += 1;
        self.params[case.params.len()] += 1;
        *self.compilers.entry(compiler).or_default() += 1;
        let facts = case.facts(&batch.records);
        for (fact, name) in Facts::NAMED {
            *self.facts.entry(name).or_default() += usize::from(facts.any(fact));
        }
        let types = || case.params.iter().chain(&case.result);
        let mixed = types().any(|ty| {
            let facts = ty.facts(&batch.records);
            facts.any(Facts::RECORD) && facts.any(Facts::INTEGER) && facts.any(Facts::FLOATING)
        });
        let more = [
            ("records of integers and floats", mixed),
            ("variadic", case.named.is_some()),
            ("variadic, with records after `...`", variadic_records(case)),
            ("types inside of the prototype", case.inline),
            ("spills", spills(case)),
            ("void", case.result.is_none()),
            ("results that are records", matches!(case.result, Some(Type::Record(_)))),
            ("for guests too", case.suits_guests(&batch.records)),
        ];
        for (name, is_so) in more {
            *self.facts.entry(name).or_default() += usize::from(is_so);
        }
        for ty in types() {
            if let Type::Scalar(number) = ty {
                *self.scalars.entry(SCALARS[*number].spelling).or_default() += 1;
            }
        }
    }

    /// Counts a call that differs from gcc with an excuse.
    pub fn excuse(&mut self, contender: &'static str, excuse: &'static str) {
        *self.ran.entry(contender).or_default() += 1;
        *self.excused.entry(excuse).or_default() += 1;
    }

    /// Counts a call, and what was wrong with it.
    pub fn ran(&mut self, contender: &'static str, wrong: Option<String>) {
        *self.ran.entry(contender).or_default() += 1;
        if let Some(difference) = wrong {
            *self.wrong.entry(contender).or_default() += 1;
            self.differences.push(difference);
            self.differences.truncate(SHOWN);
        }
    }

    /// Adds what another has counted.
    pub fn add(&mut self, other: Coverage) {
        let Coverage { cases, params, facts, scalars, compilers, ran, wrong, excused, differences } =
            other;
        self.cases += cases;
        self.params.iter_mut().zip(params).for_each(|(sum, count)| *sum += count);
        let maps = [
            (&mut self.facts, facts),
            (&mut self.scalars, scalars),
            (&mut self.compilers, compilers),
            (&mut self.ran, ran),
            (&mut self.wrong, wrong),
            (&mut self.excused, excused),
        ];
        for (sums, counts) in maps {
            for (name, count) in counts {
                *sums.entry(name).or_default() += count;
            }
        }
        self.differences.extend(differences);
        self.differences.truncate(SHOWN);
    }

    /// Whether all went well, and whether there was enough of everything.
    pub fn check(&self, cases: usize, contenders: &[&dyn Contender]) {
        let differences = self.differences.join("\n\n");
        assert!(
            self.wrong.is_empty(),
            "{:?} differ from gcc, among them\n{differences}",
            self.wrong
        );
        assert_eq!(self.cases, cases);
        assert!(cases >= 50_000);
        for (params, count) in self.params.iter().enumerate() {
            assert!(*count >= 200, "only {count} functions have {params} parameters");
        }
        for (name, count) in &self.facts {
            assert!(*count >= 1_000, "only {count} cases with {name}");
        }
        for scalar in &SCALARS {
            let count = self.scalars.get(scalar.spelling).copied().unwrap_or_default();
            assert!(count >= 500, "only {count} uses of `{}`", scalar.spelling);
        }
        for contender in contenders {
            let ran = self.ran.get(contender.name()).copied().unwrap_or_default();
            let floor = contender.floor(cases);
            assert!(ran >= floor, "{} ran only {ran} cases of {floor}", contender.name());
        }
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} cases; by parameters: {:?}", self.cases, self.params)?;
        let maps = [
            ("compiled", &self.compilers),
            ("run", &self.ran),
            ("wrong", &self.wrong),
            ("excused", &self.excused),
            ("with", &self.facts),
            ("scalars", &self.scalars),
        ];
        maps.iter().try_for_each(|(name, map)| writeln!(f, "{name}: {map:?}"))
    }
}

fn variadic_records(case: &Case) -> bool {
    let tail = case.named.map_or(&[][..], |named| &case.params[named..]);
    tail.iter().any(|ty| matches!(ty, Type::Record(_)))
}

/// Whether scalars alone take more registers than there are.
fn spills(case: &Case) -> bool {
    let count = |wanted: fn(Fill) -> bool| {
        let is = |ty: &&Type| matches!(ty, Type::Scalar(number) if wanted(SCALARS[*number].fill));
        case.params.iter().filter(is).count()
    };
    count(|fill| matches!(fill, Fill::Bytes | Fill::Bool)) > 6
        || count(|fill| matches!(fill, Fill::Floats | Fill::Doubles)) > 8
}
