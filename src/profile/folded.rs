//! A profile as stacks with weights, which flame-graph programs read: `guest;libz.so.1.crc32;native 1234`, the
//! weights in nanoseconds.
use super::model::{Import, Profile};
use std::fmt::Write as _;

/// The stacks, a line each, in the order of the profile. What took no time has no line.
#[must_use]
pub fn folded(profile: &Profile) -> String {
    let mut text = String::new();
    let guest = match &*profile.guest {
        "" => "guest".to_owned(),
        name => frame(name),
    };
    let mut line = |stack: &str, time: f64| {
        let weight = time.round();
        if weight >= 1.0 {
            let _ = writeln!(text, "{stack} {weight}");
        }
    };
    let last = profile.phases.len().saturating_sub(1);
    for (number, phase) in profile.phases.iter().enumerate() {
        match number == last {
            true => line(&guest, phase.time),
            false => line(&frame(&phase.name), phase.time),
        }
    }
    for import in &profile.imports {
        let Import { native, marshalling, transition, called_back, allocator, .. } = *import;
        let stack = format!("{guest};{}", frame(&import.name));
        for (part, time) in [
            ("native", native),
            ("marshalling", marshalling),
            ("transition", transition),
            ("native;callback", called_back),
            ("marshalling;allocator", allocator),
        ] {
            line(&format!("{stack};{part}"), time);
        }
    }
    line("profiling", profile.profiling);
    line("waiting for a core", profile.waiting);
    text
}

/// A name without what separates frames and lines.
fn frame(name: &str) -> String {
    name.chars().map(|c| if c == ';' || c.is_control() { '_' } else { c }).collect()
}
