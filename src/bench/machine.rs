//! The machine: one core for everything, and what could make the numbers weak.
//!
//! What is asked of Linux' `/sys` is a pure function over a folder that stands for it ([`survey`]), so that
//! it can be tried with the trees of machines that are not here.
#![expect(unsafe_code, reason = "asks the C library for the cores that this thread may use")]
use std::collections::BTreeMap;
use std::fs;
use std::io::{Error, Result};
use std::mem::{size_of, zeroed};
use std::path::Path;

/// What `/sys` says about a machine's cores.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cpus {
    /// Numbers of the cores that are switched on.
    pub online: Vec<usize>,
    /// The types of cores, the fastest first; one where all are alike.
    pub types: Vec<CoreType>,
    /// How the frequency of each core is governed, as far as it is known.
    pub governors: BTreeMap<usize, String>,
}

/// Cores that are alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreType {
    /// What Linux calls them.
    pub name: String,
    /// Their numbers.
    pub cores: Vec<usize>,
}

impl Cpus {
    /// The type of a core, if there is more than one.
    #[must_use]
    pub fn type_of(&self, core: usize) -> Option<&CoreType> {
        let found = self.types.iter().find(|ty| ty.cores.contains(&core));
        found.filter(|_| self.types.len() > 1)
    }

    /// The core to measure on: `wanted`, or the last one that is allowed of the fastest type.
    #[must_use]
    pub fn choose(&self, allowed: &[usize], wanted: Option<usize>) -> Option<usize> {
        if let Some(core) = wanted {
            return Some(core).filter(|core| allowed.contains(core));
        }
        let of_type =
            |ty: &CoreType| allowed.iter().copied().filter(|core| ty.cores.contains(core)).max();
        self.types.iter().find_map(of_type).or(allowed.iter().copied().max())
    }

    /// Why a core cannot be measured on that [`choose`](Cpus::choose) does not take.
    #[must_use]
    pub fn why_not(&self, allowed: &[usize], wanted: usize) -> String {
        if self.online.contains(&wanted) {
            return format!(
                "core {wanted} is there, but this process may use {} only (it was started under `taskset`, or in a \
                 container)",
                cores(allowed)
            );
        }
        let there = if self.online.is_empty() { allowed } else { &self.online };
        format!(
            "there is no core {wanted}, or it is switched off: this machine has {}",
            cores(there)
        )
    }

    /// What makes numbers of that core weak.
    #[must_use]
    pub fn warnings(&self, core: usize) -> Vec<String> {
        let mut warnings = Vec::new();
        match self.governors.get(&core) {
            None => {
                warnings.push("the frequency of the core is not known (a virtual machine?)".into());
            }
            Some(governor) if governor != "performance" => warnings.push(format!(
                "the frequency governor of core {core} is `{governor}`, not `performance`"
            )),
            Some(_) => {}
        }
        if let Some(ty) = self.type_of(core) {
            let others: Vec<String> = self
                .types
                .iter()
                .filter(|other| *other != ty)
                .map(|other| format!("{} ({})", other.name, list(&other.cores)))
                .collect();
            warnings.push(format!(
                "this processor has cores of several types: all figures are of core {core}, one of \
                 {} ({}); those of {} would be others (--core chooses)",
                ty.name,
                list(&ty.cores),
                others.join(" and ")
            ));
        }
        warnings
    }
}

/// What a folder that is `/sys`, or stands for it, says about the cores.
///
/// Types are told from each other by the performance counters that Intel's hybrid processors have for each
/// type (`devices/cpu_core`, `devices/cpu_atom`), else by the capacity that Linux gives cores on Arm
/// (`cpu_capacity`). Where neither is there, all count as alike.
#[must_use]
pub fn survey(sys: &Path) -> Cpus {
    let read = |path: &str| Some(fs::read_to_string(sys.join(path)).ok()?.trim().to_owned());
    let cores = |path: &str| read(path).map(|text| numbers(&text)).unwrap_or_default();
    let online = cores("devices/system/cpu/online");
    let mut types = Vec::new();
    for (name, pmu) in [
        ("performance cores", "cpu_core"),
        ("efficient cores", "cpu_atom"),
        ("low-power cores", "cpu_lowpower"),
    ] {
        let mut cores = cores(&format!("devices/{pmu}/cpus"));
        cores.retain(|core| online.contains(core));
        if !cores.is_empty() {
            types.push(CoreType { name: format!("{name} ({pmu})"), cores });
        }
    }
    if types.is_empty() {
        let mut by_capacity: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for core in &online {
            let capacity = read(&format!("devices/system/cpu/cpu{core}/cpu_capacity"));
            let capacity = capacity.and_then(|text| text.parse().ok()).unwrap_or(0);
            by_capacity.entry(capacity).or_default().push(*core);
        }
        let of_capacity =
            |(capacity, cores)| CoreType { name: format!("cores of capacity {capacity}"), cores };
        types.extend(by_capacity.into_iter().rev().map(of_capacity));
        if let [only] = &mut types[..] {
            only.name = "all cores".to_owned();
        }
    }
    let governor = |core: &usize| {
        let path = format!("devices/system/cpu/cpu{core}/cpufreq/scaling_governor");
        Some((*core, read(&path)?))
    };
    let governors = online.iter().filter_map(governor).collect();
    Cpus { online, types, governors }
}

/// `0-3,8` as numbers. What is no number is left out.
fn numbers(text: &str) -> Vec<usize> {
    let mut found = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.trim().parse::<usize>(), last.trim().parse::<usize>())
        {
            // No machine has more.
            found.extend(first..=last.min(first.saturating_add(1 << 16)));
        }
    }
    found
}

/// The same the other way.
fn list(cores: &[usize]) -> String {
    let mut text = String::new();
    let mut at = 0;
    while at < cores.len() {
        let mut end = at;
        while end + 1 < cores.len() && cores[end + 1] == cores[end] + 1 {
            end += 1;
        }
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(&cores[at].to_string());
        if end > at {
            text.push_str(&format!("-{}", cores[end]));
        }
        at = end + 1;
    }
    text
}

/// The same in words.
fn cores(numbers: &[usize]) -> String {
    format!("{} {}", if numbers.len() == 1 { "core" } else { "the cores" }, list(numbers))
}

/// This machine.
#[must_use]
pub fn here() -> Cpus {
    survey(Path::new("/sys"))
}

/// Pins this thread to the core that [`Cpus::choose`] takes of those that it may use; returns which.
///
/// # Errors
/// When it may not use that core.
pub fn pin(wanted: Option<usize>) -> Result<usize> {
    // SAFETY: a set of cores is plain data, all zeros is the empty one.
    let mut set: libc::cpu_set_t = unsafe { zeroed() };
    // SAFETY: the set is as large as is said.
    if unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) } != 0 {
        return Err(Error::last_os_error());
    }
    let most = usize::try_from(libc::CPU_SETSIZE).unwrap_or(0);
    // SAFETY: numbers below the size of a set are inside of it.
    let allowed = (0..most).filter(|core| unsafe { libc::CPU_ISSET(*core, &set) });
    let allowed: Vec<usize> = allowed.collect();
    let here = here();
    let core = here
        .choose(&allowed, wanted)
        .ok_or_else(|| Error::other(here.why_not(&allowed, wanted.unwrap_or_default())))?;
    // SAFETY: as above.
    let mut one: libc::cpu_set_t = unsafe { zeroed() };
    // SAFETY: the core is inside of the set.
    unsafe { libc::CPU_SET(core, &mut one) };
    // SAFETY: the set is as large as is said.
    if unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const one) } != 0 {
        return Err(Error::last_os_error());
    }
    Ok(core)
}

/// The name of the processor.
#[must_use]
pub fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or_else(|| "an unknown processor".to_owned(), |(_, name)| name.to_owned())
}

/// How many other things want to run, on average over the last minute.
#[must_use]
pub fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

/// How often this thread had to leave its core to others so far.
#[must_use]
pub fn preemptions() -> u64 {
    // SAFETY: plain data, all zeros is fine.
    let mut usage: libc::rusage = unsafe { zeroed() };
    // SAFETY: it writes one such struct.
    if unsafe { libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage) } != 0 {
        return 0;
    }
    u64::try_from(usage.ru_nivcsw).unwrap_or(0)
}

/// What is known before the first measurement that makes numbers weak.
#[must_use]
pub fn warnings(core: usize) -> Vec<String> {
    let mut warnings = here().warnings(core);
    if let Some(load) = load().filter(|load| *load > 0.5) {
        warnings.push(format!("other programs are running (load {load})"));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cores_are_read_and_written() {
        for (text, cores) in
            [("0-3,8", vec![0, 1, 2, 3, 8]), ("7", vec![7]), ("", vec![]), ("1,3-4", vec![1, 3, 4])]
        {
            assert_eq!(numbers(text), cores);
            assert_eq!(list(&cores), text);
        }
        assert_eq!(numbers("x,2-y,5"), [5]);
    }
}
