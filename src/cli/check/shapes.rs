//! Warnings about functions that no annotation makes safe to lend.
//!
//! Types tell some of them (tables of functions, code pointers as results); for others only the
//! name does, and then the warning says so. A ten-line C shim with a narrower prototype is the
//! better way for all of them.
use portcullis::signature::{
    Function, Interface, NoteKind, Prototype, Record, Scope, Span, Type, TypeKind,
};
use std::sync::Arc;

/// Something to think about before granting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The function that it is about.
    pub function: String,
    /// Where it stands in the interface.
    pub span: Span,
    /// What is dangerous, and why.
    pub message: String,
}

/// All warnings of an interface, in its order.
pub fn warnings(interface: &Interface) -> Vec<Warning> {
    let mut list = Vec::new();
    for grant in &interface.grants {
        of_prototype(&grant.prototype, &interface.scope, &mut list);
    }
    undestroyed(interface, &mut list);
    list
}

fn of_prototype(prototype: &Prototype, scope: &Scope, list: &mut Vec<Warning>) {
    let name = &*prototype.name.name;
    let mut warn = |span: Span, message: String| {
        let message = format!("`{name}` {message}");
        list.push(Warning { function: name.to_owned(), span, message });
    };
    for param in &prototype.function.params {
        if let Some(function) = callback(&param.ty)
            && looks_like_an_allocator(function)
        {
            warn(
                param.span,
                "lets the guest supply an allocator: the library trusts what it returns".to_owned(),
            );
        }
        if let Some(record) = pointed_record(&param.ty)
            && holds_functions(record, scope)
        {
            let message = "takes a struct of functions: a table that the guest supplies decides \
                 what the library calls";
            warn(param.span, message.to_owned());
        }
        if param.ty.pointee().and_then(callback).is_some() {
            warn(param.span, "gives out a code pointer".to_owned());
        }
    }
    if callback(&prototype.function.result).is_some() {
        warn(prototype.function.result.span, "returns a code pointer".to_owned());
    }
    if is_control(prototype) {
        let message = "looks like a control function: what its untyped argument must be depends \
             on another argument; grant each use under its own `__range`";
        warn(prototype.span, message.to_owned());
    }
    if let Some(why) = dangerous_name(name) {
        warn(prototype.name.span, format!("{why} (judged by its name)"));
    } else if is_clean_up(prototype) {
        let message = "looks like clean-up for the whole process, other guests included (judged \
             by its name)";
        warn(prototype.name.span, message.to_owned());
    }
}

/// The function behind a function pointer.
fn callback(ty: &Type) -> Option<&Function> {
    match &ty.pointee()?.kind {
        TypeKind::Function(function) => Some(function),
        _ => None,
    }
}

/// `void *f(size_t)` and its like: memory that the library will write to.
fn looks_like_an_allocator(function: &Function) -> bool {
    let returns_memory =
        function.result.pointee().is_some_and(|pointee| pointee.kind == TypeKind::Void);
    returns_memory
        && function.params.iter().any(|param| matches!(param.ty.kind, TypeKind::Integer(_)))
}

pub(super) fn pointed_record(ty: &Type) -> Option<&Record> {
    match &ty.pointee()?.kind {
        TypeKind::Record(record) => Some(record),
        _ => None,
    }
}

fn holds_functions(record: &Record, scope: &Scope) -> bool {
    let body = record.body.as_ref().or_else(|| {
        let tag = record.tag.as_ref()?;
        scope.records.get(&(record.kind, Arc::clone(&tag.name)))
    });
    body.is_some_and(|body| body.fields.iter().any(|field| callback(&field.ty).is_some()))
}

/// `ioctl` and its kin: an operation by number, and an argument whose type it decides.
fn is_control(prototype: &Prototype) -> bool {
    const NAMES: [&str; 8] =
        ["ctl", "control", "ioctl", "fcntl", "prctl", "setopt", "getinfo", "config"];
    let name = prototype.name.name.to_lowercase();
    let params = &prototype.function.params;
    let operations = params.iter().filter(|param| {
        let fixed = param.ty.has(|note| matches!(note, NoteKind::Range(..)));
        matches!(param.ty.kind, TypeKind::Integer(_) | TypeKind::Enum(_)) && !fixed
    });
    let untyped = params
        .iter()
        .any(|param| param.ty.pointee().is_some_and(|pointee| pointee.kind == TypeKind::Void));
    NAMES.iter().any(|ending| name.ends_with(ending)) && untyped && operations.count() > 0
}

/// No parameters, and a name that speaks of an end.
fn is_clean_up(prototype: &Prototype) -> bool {
    const WORDS: [&str; 9] = [
        "cleanup",
        "shutdown",
        "terminate",
        "deinit",
        "uninit",
        "finalize",
        "finalise",
        "teardown",
        "quit",
    ];
    let name = prototype.name.name.to_lowercase();
    let is_function = prototype.data.is_none();
    is_function
        && prototype.function.params.is_empty()
        && WORDS.iter().any(|word| name.contains(word))
}

/// Functions of C and POSIX that everybody knows.
fn dangerous_name(name: &str) -> Option<&'static str> {
    Some(match name {
        "abort" | "exit" | "_exit" | "_Exit" | "quick_exit" | "longjmp" | "siglongjmp"
        | "raise" => "ends the host process, or jumps out of it",
        "system" | "popen" | "execl" | "execle" | "execlp" | "execv" | "execve" | "execvp"
        | "posix_spawn" | "posix_spawnp" | "fork" | "vfork" | "clone" => "starts other programs",
        "dlopen" | "dlmopen" | "dlsym" | "dlvsym" => "loads or finds native code",
        "mmap" | "munmap" | "mprotect" | "mremap" | "brk" | "sbrk" => {
            "changes the memory of the host process"
        }
        "ptrace" | "process_vm_readv" | "process_vm_writev" => {
            "reaches into the memory of processes"
        }
        "signal" | "sigaction" | "sigaltstack" | "pthread_kill" | "kill" => {
            "interferes with the signals of processes"
        }
        "gets" | "strcpy" | "strcat" | "sprintf" | "vsprintf" => {
            "writes as much as it likes, whatever the size of its buffer"
        }
        "setenv" | "putenv" | "unsetenv" | "clearenv" | "setlocale" | "chdir" | "umask" => {
            "changes the state of the whole process"
        }
        _ => return None,
    })
}

/// Types of handles that functions consume and nothing destroys when a guest forgets them.
fn undestroyed(interface: &Interface, list: &mut Vec<Warning>) {
    let mut known: Vec<&Record> = Vec::new();
    for grant in &interface.grants {
        for param in &grant.prototype.function.params {
            let consumed =
                param.ty.has(|note| matches!(note, NoteKind::Consumes | NoteKind::ConsumesIf(_)));
            let Some(record) = pointed_record(&param.ty).filter(|_| consumed) else { continue };
            if record.tag.is_none() || known.contains(&record) {
                continue;
            }
            known.push(record);
            if interface.scope.drop_of(record).is_none() {
                let ty = super::c_text::tag(record);
                list.push(Warning {
                    function: grant.prototype.name.to_string(),
                    span: param.span,
                    message: format!(
                        "nothing destroys a `{ty}` that the guest forgets: write `typedef {ty} \
                         {} __drop({});`",
                        record.tag.as_ref().map_or("T", |tag| &tag.name),
                        grant.prototype.name
                    ),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis::signature::parse_interface;

    fn warned(text: &str) -> Vec<String> {
        let text = format!("#pragma portcullis library \"libx.so\"\n{text}");
        let interface = parse_interface("x.h", &text).unwrap_or_else(|e| panic!("{e}"));
        warnings(&interface).into_iter().map(|warning| warning.message).collect()
    }

    fn one(text: &str, expected: &str) {
        let list = warned(text);
        assert!(list.len() == 1 && list[0].contains(expected), "{text}: {list:?}");
    }

    #[test]
    fn dangerous_shapes_are_found() {
        one("void use(void *__sized_by(n) (*alloc)(size_t n));", "supply an allocator");
        one(
            "struct io { int (*read)(int n); }; void use(const struct io *io);",
            "struct of functions",
        );
        one("int (*hook(int n))(int n);", "returns a code pointer");
        one("int x_ctl(int op, void *__sized_by(8) arg);", "control function");
        one("void x_global_cleanup(void);", "whole process");
        one("int system(const char *command);", "starts other programs");
        one("typedef struct db db; void db_close(db *__consumes d);", "__drop(db_close)");
    }

    #[test]
    fn ordinary_functions_are_not() {
        for text in [
            "double cos(double x);",
            "int compare(int (*with)(int a, int b));",
            "int x_ctl(int op __range(3), void *__sized_by(8) arg);",
            "typedef struct stmt stmt __drop(finalize); int finalize(stmt *__consumes s);",
            "int use(const char *text);",
        ] {
            assert_eq!(warned(text), Vec::<String>::new(), "{text}");
        }
    }
}
