//! What is found out about machines, on trees that stand for their `/sys`.
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
