//! What a profile says, in words.
use super::model::{Import, Profile};
use super::text::{count, percent, time};

/// A part of the time that is worth a word.
struct Share {
    place: String,
    time: f64,
}

/// Calls that take less than this part of the time cannot be what is slow.
const LITTLE: f64 = 0.05;
/// Of fewer calls the first one, which finds nothing in caches, is a great part.
const FEW: u64 = 100;
/// Where the sum of the parts is uncertain by more than this part of the time, none of them says anything.
const UNCERTAIN: f64 = 0.25;
/// A start that takes less than this part of the time need not be told apart.
const SHORT: f64 = 0.1;

/// The verdict: a sentence a line.
pub(super) fn verdict(profile: &Profile) -> Vec<String> {
    // What happens before the guest runs has nothing to do with its calls: it is left out, and told if it is much.
    let start = profile.start();
    let net = (profile.net() - start).max(f64::MIN_POSITIVE);
    let of = match start / profile.net().max(f64::MIN_POSITIVE) > SHORT {
        true => "the time after the start",
        false => "the time",
    };
    let mut shares = shares(profile);
    shares.sort_by(|a, b| b.time.total_cmp(&a.time));
    let mut said = Vec::new();
    let mut covered = 0.0;
    let mut parts = Vec::new();
    for share in shares.iter().take(3) {
        if covered / net > 0.9 || share.time / net < LITTLE {
            break;
        }
        covered += share.time;
        let of = if parts.is_empty() { format!(" of {of}") } else { String::new() };
        parts.push(format!("{}{of} is {}", percent(share.time / net), share.place));
    }
    if !parts.is_empty() {
        said.push(parts.join("; "));
    }
    if start > net {
        let advice = match profile.ways.precompiled {
            true => "",
            false => ": `portcullis compile` does most of that ahead of time",
        };
        let (start, net) = (time(start), time(net));
        said.push(format!(
            "starting the guest took longer than running it, {start} and {net}{advice}"
        ));
    }
    if profile.waiting / profile.wall > LITTLE {
        said.push(format!(
            "other programs had the core while the guest waited for it, {} of the wall time: that is in no other figure",
            percent(profile.waiting / profile.wall)
        ));
    }
    if profile.imports.iter().all(|import| import.calls == 0) {
        said.push("no native function was called: there is nothing to make faster".to_owned());
        return said;
    }
    if profile.error / net > UNCERTAIN {
        let uncertain = match profile.error < net {
            true => format!("{} of {}", time(profile.error), time(net)),
            false => format!("all of the {} that they take", time(net)),
        };
        return vec![format!(
            "what takes how much cannot be said of this run: the parts are uncertain by {uncertain}. Run it longer, alone \
             on its core, or time more of the calls (`--sample 1` times all)"
        )];
    }
    said.push(saving(profile, net));
    let worst = profile.imports.iter().max_by(|a, b| a.marshalling.total_cmp(&b.marshalling));
    if let Some(worst) = worst.filter(|worst| worst.marshalling / net >= LITTLE)
        && let Some(why) = why_marshalling(worst)
    {
        said.push(why);
    }
    if let Some(first) = profile.running.first() {
        let since = first.time.map_or(String::new(), |ns| format!(" since {}", time(ns)));
        said.push(format!(
            "the guest was interrupted in a call of {} that had not returned{since}",
            first.name
        ));
    }
    said
}

/// What a faster tier would save.
fn saving(profile: &Profile, net: f64) -> String {
    let calling: f64 = profile.imports.iter().map(Import::calling).sum();
    let making = format!("making the calls takes {}", percent(calling / net));
    if profile.ways.guarded {
        return format!(
            "{making}, what `--guard` looks at included: only the interpreter does that, and no other tier could save anything"
        );
    }
    let saved = profile.to_save();
    let at_most = if saved / net < 0.001 { "" } else { "at most " };
    let faster = match &*profile.ways.most {
        "direct" => "a faster tier would save".to_owned(),
        "interpreter" => {
            "`--tier interpreter` allows no faster way; without it one would save".to_owned()
        }
        most => format!("a tier up to `--tier {most}` would save"),
    };
    let faster = format!("{faster} {at_most}{}", percent(saved / net));
    if calling / net < LITTLE {
        return format!("{making}: {faster}");
    }
    let most = profile
        .imports
        .iter()
        .max_by(|a, b| profile.to_save_of(a).total_cmp(&profile.to_save_of(b)));
    let most = most.filter(|most| most.calls > 0);
    let calls = most.map_or(0, |most| most.calls);
    let most = most.map_or(String::new(), |most| {
        let each = time(most.calling() / most.calls as f64);
        let each = match most.callbacks {
            0 => format!("{each} each"),
            callbacks => format!("{each} each with {} callbacks", count(callbacks)),
        };
        format!(
            ", {} of that in {} ({} calls, {each} beside what native code does)",
            percent(profile.to_save_of(most) / saved.max(f64::MIN_POSITIVE)),
            most.name,
            count(most.calls)
        )
    });
    let few = match calls {
        0..FEW => "; of so few calls that is mostly what first calls cost, in every tier",
        _ => "",
    };
    format!("{making}: {faster}{most}{few}")
}

/// Bytes that are moved, if it is these.
fn why_marshalling(import: &Import) -> Option<String> {
    let each = (import.copied + import.transformed) / import.calls.max(1);
    if each < 1024 {
        return None;
    }
    Some(format!(
        "{} moves {} bytes a call from one layout or memory to another: that is what its marshalling is",
        import.name,
        count(each)
    ))
}

fn shares(profile: &Profile) -> Vec<Share> {
    let mut shares: Vec<Share> = Vec::new();
    for import in &profile.imports {
        let place = format!("inside {}", library(import));
        match shares.iter_mut().find(|share| share.place == place) {
            Some(share) => share.time += import.native,
            None => shares.push(Share { place, time: import.native }),
        }
    }
    let sum = |of: fn(&Import) -> f64| profile.imports.iter().map(of).sum();
    let mut add = |place: &str, time| shares.push(Share { place: place.to_owned(), time });
    add("in making calls", sum(Import::calling));
    add("in guest functions that native code calls", sum(|import| import.called_back));
    add("in the guest's allocator", sum(|import| import.allocator));
    if let Some(guest) = profile.phases.last() {
        add("in the guest's own code and what it does through WASI", guest.time);
    }
    shares
}

/// What people call the library of an import.
fn library(import: &Import) -> String {
    let file = import.library.as_ref().and_then(|path| path.file_name());
    match file {
        Some(file) => {
            let file = file.to_string_lossy();
            file.split(".so").next().unwrap_or(&file).to_owned()
        }
        None => import.name.rsplit_once('.').map_or(&*import.name, |(module, _)| module).to_owned(),
    }
}
