//! What is found out about machines, on trees that stand for their `/sys`.
//!
//! Each file of `tests/bench/machines` says in its first lines whether it was recorded on a machine, and where that was
//! published, or made up. This machine's is printed by
//! `cargo test --release --test bench record_this_machine -- --ignored --nocapture`.
use portcullis::bench::machine::{Cpus, survey};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// The tree of `tests/bench/machines/NAME.txt`: a line a file, and what is in it.
fn machine(name: &str) -> Cpus {
    let list =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/bench/machines/{name}.txt"));
    let text = fs::read_to_string(list).expect("it is there");
    let sys = TempDir::new().expect("a temporary folder");
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (path, content) = line.split_once(": ").expect("a path and a content");
        let file = sys.path().join(path);
        fs::create_dir_all(file.parent().expect("it has a folder")).expect("a folder");
        fs::write(file, format!("{content}\n")).expect("a file");
    }
    survey(sys.path())
}

#[test]
fn types_of_cores_are_told_apart_and_never_mixed() {
    let cpus = machine("intel-hybrid");
    let names: Vec<&str> = cpus.types.iter().map(|ty| ty.name.as_str()).collect();
    assert_eq!(names, ["performance cores (cpu_core)", "efficient cores (cpu_atom)"]);
    let all: Vec<usize> = (0..16).collect();
    assert_eq!(cpus.choose(&all, None), Some(7), "the last one of the fastest type");
    assert_eq!(cpus.choose(&all, Some(12)), Some(12));
    assert_eq!(cpus.choose(&[9, 10], None), Some(10), "where there is no faster one");
    assert_eq!(cpus.choose(&[0, 1], Some(12)), None);
    let [governor, hybrid] = &cpus.warnings(12)[..] else { panic!("{:?}", cpus.warnings(12)) };
    assert!(governor.contains("`powersave`, not `performance`"), "{governor}");
    assert!(hybrid.contains("core 12, one of efficient cores (cpu_atom) (8-15)"), "{hybrid}");
    assert!(hybrid.contains("performance cores (cpu_core) (0-7)"), "{hybrid}");
    assert!(hybrid.contains("--core"), "{hybrid}");
}

#[test]
fn a_core_that_cannot_be_had_is_told_with_those_that_can() {
    let cpus = machine("server");
    assert_eq!(cpus.choose(&[0, 1, 2], Some(3)), None);
    let why = cpus.why_not(&[0, 1, 2], 3);
    assert_eq!(
        why,
        "there is no core 3, or it is switched off: this machine has the cores 0-2,4-7"
    );
    let why = cpus.why_not(&[2], 5);
    assert!(why.starts_with("core 5 is there, but this process may use core 2 only"), "{why}");
    let unknown = survey(Path::new("/nowhere")).why_not(&[0, 1], 9);
    assert!(unknown.ends_with("this machine has the cores 0-1"), "{unknown}");
}

#[test]
fn capacities_are_types_too() {
    let cpus = machine("arm-big-little");
    let types: Vec<_> = cpus.types.iter().map(|ty| (ty.name.as_str(), &ty.cores[..])).collect();
    assert_eq!(
        types,
        [
            ("cores of capacity 1024", &[4, 5, 6, 7][..]),
            ("cores of capacity 432", &[0, 1, 2, 3][..])
        ]
    );
    assert_eq!(cpus.type_of(2).map(|ty| ty.name.as_str()), Some("cores of capacity 432"));
    assert!(cpus.warnings(7)[0].contains("`schedutil`"));
}

#[test]
fn a_machine_that_is_set_up_for_it_gives_no_warning() {
    let cpus = machine("server");
    assert_eq!(cpus.online, [0, 1, 2, 4, 5, 6, 7]);
    assert_eq!(cpus.type_of(5), None);
    assert_eq!(cpus.warnings(5), [""; 0]);
    // Of a core that is switched off nothing is known.
    assert_eq!(cpus.warnings(3).len(), 1);
}

#[test]
fn unknown_frequencies_are_told() {
    let cpus = machine("virtual");
    assert_eq!(cpus.types.len(), 1, "{:?}", cpus.types);
    let [unknown] = &cpus.warnings(1)[..] else { panic!("{:?}", cpus.warnings(1)) };
    assert!(unknown.contains("not known"), "{unknown}");
    let nothing = survey(Path::new("/nowhere"));
    assert_eq!((nothing.online.len(), nothing.choose(&[2, 3], None)), (0, Some(3)));
}

/// The files that [`survey`] reads, and what is in them, as the files of `tests/bench/machines` have them.
fn tree(sys: &Path) -> String {
    let mut paths = vec!["devices/system/cpu/online".to_owned()];
    paths.extend(["cpu_core", "cpu_atom", "cpu_lowpower"].map(|pmu| format!("devices/{pmu}/cpus")));
    for core in 0..1024 {
        for file in ["cpu_capacity", "cpufreq/scaling_governor"] {
            paths.push(format!("devices/system/cpu/cpu{core}/{file}"));
        }
    }
    let line = |path: &String| {
        let content = fs::read_to_string(sys.join(path)).ok()?;
        Some(format!("{path}: {}\n", content.trim()))
    };
    paths.iter().filter_map(line).collect()
}

#[test]
#[ignore = "prints this machine's tree, for a file of tests/bench/machines"]
fn record_this_machine() {
    println!("{}", tree(Path::new("/sys")));
}

/// What was written down of a machine says of it what the machine itself would.
#[test]
fn a_tree_that_was_recorded_is_read_as_the_machine_is() {
    let sys = TempDir::new().expect("a temporary folder");
    for line in tree(Path::new("/sys")).lines() {
        let (path, content) = line.split_once(": ").expect("a path and a content");
        let file = sys.path().join(path);
        fs::create_dir_all(file.parent().expect("it has a folder")).expect("a folder");
        fs::write(file, content).expect("a file");
    }
    assert_eq!(survey(sys.path()), survey(Path::new("/sys")));
}

#[test]
fn machines_that_were_recorded_have_the_types_that_they_have() {
    for (name, types) in [
        (
            "lenovo-yoga-c630",
            &[("cores of capacity 1024", "4-7"), ("cores of capacity 377", "0-3")][..],
        ),
        ("apple-m1", &[("cores of capacity 1024", "4-7"), ("cores of capacity 459", "0-3")]),
        ("pinebook-pro", &[("cores of capacity 1024", "4-5"), ("cores of capacity 381", "0-3")]),
        ("juno", &[("cores of capacity 1024", "1-2"), ("cores of capacity 446", "0,3-5")]),
        (
            "alder-lake",
            &[("performance cores (cpu_core)", "0-15"), ("efficient cores (cpu_atom)", "16-23")],
        ),
        ("kvm-epyc", &[("all cores", "0-1")]),
    ] {
        let cpus = machine(name);
        assert_eq!(cpus.types.len(), types.len(), "{name}: {:?}", cpus.types);
        for (found, (called, cores)) in cpus.types.iter().zip(types) {
            assert_eq!(found.name, *called, "{name}");
            // A warning of a core of another type lists these.
            let warnings = cpus.warnings(found.cores[0]).join("\n");
            assert!(types.len() == 1 || warnings.contains(cores), "{name}: {warnings}");
        }
        // Everything is measured on the fastest type, unless somebody says otherwise.
        let all = cpus.online.clone();
        let chosen = cpus.choose(&all, None).expect("there are cores");
        assert_eq!(cpus.types[0].cores.last(), Some(&chosen), "{name}");
        let slow = *cpus.types[types.len() - 1].cores.first().expect("there are some");
        assert_eq!(cpus.choose(&all, Some(slow)), Some(slow), "{name}");
    }
    let yoga = machine("lenovo-yoga-c630");
    let [governor, types] = &yoga.warnings(7)[..] else { panic!("{:?}", yoga.warnings(7)) };
    assert!(governor.contains("`schedutil`, not `performance`"), "{governor}");
    assert!(types.contains("cores of capacity 377 (0-3)"), "{types}");
    // A virtual machine that tells nothing of its frequencies.
    assert!(machine("kvm-epyc").warnings(1)[0].contains("not known"));
}
