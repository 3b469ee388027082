//! Which tier calls take later: without `--tier` code is made of what is called often.
use super::super::meant::{Looked, Permissions};
use super::super::report::Failure;
#[cfg(feature = "cranelift")]
use super::super::words::in_options;
use super::Wanted;
use portcullis::host::ImportReport;
#[cfg(feature = "cranelift")]
use portcullis::host::{ImportStatus, NativeImport, Tier};

/// There is no code without a compiler.
#[cfg(not(feature = "cranelift"))]
pub fn tell(
    _: &Permissions,
    _: &Looked,
    _: &[ImportReport],
    _: &mut [Wanted],
) -> Result<(), Failure> {
    Ok(())
}

/// Says it of each import: the code that would be made is made.
#[cfg(feature = "cranelift")]
pub fn tell(
    permissions: &Permissions,
    looked: &Looked,
    reports: &[ImportReport],
    wanted: &mut [Wanted],
) -> Result<(), Failure> {
    // `run` makes no code of what was compiled ahead of time, and this may be where none can be made.
    if looked.compiled.is_some() {
        return Ok(());
    }
    let is_hot = |report: &ImportReport| when_hot(report).is_some();
    if !reports.iter().any(is_hot) {
        return Ok(());
    }
    let fastest = permissions.bridge_with(looked.bridge.engine(), Tier::Direct)?;
    let fastest = fastest.describe(&looked.module);
    for ((report, fastest), one) in reports.iter().zip(&fastest).zip(wanted) {
        let (Some((functions, calls)), ImportStatus::Native(fastest)) =
            (when_hot(report), &fastest.status)
        else {
            continue;
        };
        let outlooks = functions.iter().zip(fastest).map(|(now, fastest)| outlook(now, fastest));
        let (mut tiers, mut reasons) = (Vec::new(), Vec::new());
        for (tier, why) in outlooks {
            tiers.push(tier.to_string());
            reasons.extend(why);
        }
        tiers.dedup();
        reasons.dedup();
        let later = tiers.join(" or ");
        if one.tier.as_deref() != Some(&later) {
            one.later = Some(later);
            one.after_calls = Some(calls);
        }
        one.why_no_faster = (!reasons.is_empty()).then(|| reasons.join(" or "));
    }
    Ok(())
}

/// The functions of an import, and after how many calls code is made of one of them.
#[cfg(feature = "cranelift")]
fn when_hot(report: &ImportReport) -> Option<(&[NativeImport], u32)> {
    let ImportStatus::Native(functions) = &report.status else { return None };
    Some((functions, functions.iter().find_map(|function| function.when_hot)?))
}

/// The tier that a function will have, and why no faster one. The same code is not made of all that `fastest` has it of:
/// a template takes no longer than the host's way into a trampoline.
#[cfg(feature = "cranelift")]
fn outlook(now: &NativeImport, fastest: &NativeImport) -> (Tier, Option<String>) {
    let why = fastest.why_no_faster.as_deref().map(in_options);
    let stays =
        now.when_hot.is_none() || (now.tier == Tier::Template && fastest.tier == Tier::Cranelift);
    match (stays, now.when_hot) {
        (true, None) => (now.tier, now.why_no_faster.as_deref().map(in_options)),
        (true, Some(_)) => (now.tier, why),
        (false, _) => (fastest.tier, why),
    }
}
