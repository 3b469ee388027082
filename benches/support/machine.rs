//! The machine: one core for everything, and what could make the numbers weak.
use std::fs;
use std::io::{Error, Result};
use std::mem::{size_of, zeroed};

/// Pins this thread to the last core that it may use, or to `wanted`; returns which.
pub fn pin(wanted: Option<usize>) -> Result<usize> {
    // SAFETY: a set of cores is plain data, all zeros is the empty one.
    let mut set: libc::cpu_set_t = unsafe { zeroed() };
    // SAFETY: the set is as large as is said.
    if unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) } != 0 {
        return Err(Error::last_os_error());
    }
    let most = usize::try_from(libc::CPU_SETSIZE).unwrap_or(0);
    // SAFETY: numbers below the size of a set are inside of it.
    let allowed = |core: &usize| *core < most && unsafe { libc::CPU_ISSET(*core, &set) };
    let core = match wanted {
        Some(core) => Some(core).filter(allowed),
        None => (0..most).rev().find(allowed),
    };
    let core = core.ok_or_else(|| Error::other("this process may not use that core"))?;
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
pub fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or_else(|| "an unknown processor".to_owned(), |(_, name)| name.to_owned())
}

/// How that core's frequency is governed, as far as it is known.
pub fn governor(core: usize) -> Option<String> {
    let path = format!("/sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor");
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

/// How many other things want to run, on average over the last minute.
pub fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

/// What is known before the first measurement that makes numbers weak.
pub fn warnings(core: usize) -> Vec<String> {
    let mut warnings = Vec::new();
    match governor(core) {
        None => {
            warnings.push("the frequency of the core is not known (a virtual machine?)".to_owned())
        }
        Some(governor) if governor != "performance" => {
            warnings.push(format!("the frequency governor is `{governor}`, not `performance`"));
        }
        Some(_) => {}
    }
    if let Some(load) = load().filter(|load| *load > 0.5) {
        warnings.push(format!("other programs are running (load {load})"));
    }
    warnings
}
