//! Choices to the text of prototypes: valid ones most of the time, with every annotation.
use super::source::Source;
use std::fmt::Write;

const INTEGERS: [&str; 20] = [
    "int",
    "unsigned",
    "size_t",
    "uint8_t",
    "long",
    "char",
    "short",
    "bool",
    "int64_t",
    "uint16_t",
    "unsigned long",
    "signed char",
    "long long",
    "uint32_t",
    "ssize_t",
    "int8_t",
    "uintptr_t",
    "enum { RED, BLUE = 7 }",
    "unsigned long long",
    "int16_t",
];
const OTHERS: [&str; 8] = [
    "double",
    "float",
    "long double",
    "__int128",
    "unsigned __int128",
    "_Complex double",
    "_Complex float",
    "float __attribute__((vector_size(16)))",
];
const TAGS: [&str; 3] = ["db", "stmt", "blob"];

/// A prototype that is being written.
struct Writer<'s, 'a> {
    source: &'s mut Source<'a>,
    params: Vec<String>,
    /// Names of integer parameters, of handles, of cells.
    integers: Vec<String>,
    handles: Vec<String>,
    cells: Vec<String>,
    depth: u32,
}

/// The text of a prototype.
pub fn prototype(source: &mut Source<'_>) -> String {
    let mut writer = Writer {
        source,
        params: Vec::new(),
        integers: Vec::new(),
        handles: Vec::new(),
        cells: Vec::new(),
        depth: 0,
    };
    let count = writer.source.below(7);
    for _ in 0..count {
        writer.param();
    }
    let result = writer.result();
    let mut text = format!("{result}f({}", writer.params.join(", "));
    if writer.params.is_empty() {
        text += "void";
    }
    text += ")";
    if writer.source.chance(30) {
        text += " __errno";
    }
    if writer.source.chance(40) {
        let condition = writer.expression(2);
        let _ = write!(text, " __requires({condition})");
    }
    text
}

impl Writer<'_, '_> {
    fn name(&self) -> String {
        format!("p{}", self.params.len())
    }

    fn scalar(&mut self) -> &'static str {
        if self.source.chance(40) { self.source.pick(&OTHERS) } else { self.source.pick(&INTEGERS) }
    }

    /// Something that a bound may be.
    fn expression(&mut self, depth: u32) -> String {
        let names = [&self.integers[..], &self.cells[..]].concat();
        match self.source.below(if depth == 0 { 3 } else { 9 }) {
            0 | 1 if !names.is_empty() => names[self.source.below(names.len())].clone(),
            0..=2 => (self.source.byte() % 20).to_string(),
            3 => format!("sizeof({})", self.scalar()),
            4 => format!("abs({})", self.expression(depth - 1)),
            5 => format!("min({}, {})", self.expression(depth - 1), self.expression(depth - 1)),
            6 => format!(
                "({} ? {} : {})",
                self.expression(depth - 1),
                self.expression(depth - 1),
                self.expression(depth - 1)
            ),
            _ => {
                let op =
                    self.source.pick(&["*", "+", "-", "/", "%", "<<", ">>", "<", "&&", "||", "=="]);
                format!("({} {op} {})", self.expression(depth - 1), self.expression(depth - 1))
            }
        }
    }

    fn null(&mut self) -> &'static str {
        self.source.pick(&["", "", "", " _Nullable", " _Nonnull"])
    }

    /// The fields of a struct. With `links`: pointers among them.
    fn fields(&mut self, links: bool) -> String {
        let mut text = String::from("long n; ");
        for at in 0..1 + self.source.below(4) {
            let _ = match self.source.below(if links { 12 } else { 6 }) {
                0..=2 => write!(text, "{} f{at}; ", self.scalar()),
                3 => write!(text, "{} f{at}[{}]; ", self.scalar(), 1 + self.source.byte() % 4),
                4 => write!(text, "unsigned f{at} : {}; ", 1 + self.source.byte() % 9),
                5 if self.depth < 2 => {
                    self.depth += 1;
                    let inner = self.fields(links);
                    self.depth -= 1;
                    let kind = if inner.contains('*') {
                        "struct"
                    } else {
                        self.source.pick(&["struct", "union"])
                    };
                    write!(text, "{kind} {{ {inner}}} f{at}; ")
                }
                6 => write!(text, "const char *_Nullable f{at}; "),
                7 => write!(text, "void *__sized_by(n) f{at}; "),
                8 => write!(
                    text,
                    "const {} *__counted_by(n) f{at}; ",
                    self.source.pick(&INTEGERS[..17])
                ),
                9 => write!(text, "struct {} *_Nullable f{at}; ", self.source.pick(&TAGS)),
                10 => write!(text, "const struct {{ int a; long b; }} *_Nullable f{at}; "),
                11 => write!(text, "void *__cookie f{at}; "),
                _ => write!(text, "int f{at} __range(-1, n); "),
            };
        }
        text
    }

    fn counted(&mut self, name: &str) -> String {
        let expression = match self.source.below(4) {
            // Its own length, which is a parameter of its own.
            0 | 1 => {
                let count = format!("{name}_n");
                let ty = self.source.pick(&INTEGERS[..17]);
                self.params.push(format!("{ty} {count}"));
                self.integers.push(count.clone());
                count
            }
            2 => {
                let count = format!("{name}_c");
                let ty = self.source.pick(&["size_t", "int", "long", "uint32_t", "uint16_t"]);
                self.params.push(format!("{ty} *_Inout_ {count}"));
                self.cells.push(format!("*{count}"));
                format!("*{count}")
            }
            _ => self.expression(2),
        };
        let kind = self.source.pick(&[
            "__counted_by",
            "__counted_by",
            "__sized_by",
            "__counted_by_or_null",
        ]);
        format!("{kind}({expression})")
    }

    fn param(&mut self) {
        let name = self.name();
        let text = match self.source.below(24) {
            0..=4 => {
                let ty = self.source.pick(&INTEGERS);
                let mut text = format!("{ty} {name}");
                if self.source.chance(50) {
                    let low = self.expression(1);
                    let _ = write!(
                        text,
                        " __range({low}, {})",
                        self.source.integer().cast_signed() >> 1
                    );
                } else if self.source.chance(20) {
                    let value = self.expression(1);
                    let _ = write!(text, " __value({value})");
                }
                self.integers.push(name.clone());
                text
            }
            5 => format!("{} {name}", self.scalar()),
            6..=9 => {
                let bound = self.counted(&name);
                let ty = if bound.starts_with("__sized") { "void" } else { self.scalar() };
                let (before, after) =
                    self.source.pick(&[("const ", ""), ("", " _Out_"), ("", " _Inout_"), ("", "")]);
                let null = if bound.contains("null") { "" } else { self.null() };
                format!("{before}{ty} *{bound}{after}{null} {name}")
            }
            10 | 11 => {
                let way = self.source.pick(&["_In_", "_Out_", "_Inout_"]);
                let ty = self.source.pick(&INTEGERS[..17]);
                let null = self.null();
                if way != "_Out_" && null.is_empty() {
                    self.cells.push(format!("*{name}"));
                }
                format!("{ty} *{way}{null} {name}")
            }
            12 | 13 => {
                let ty = self.source.pick(&[
                    "const char *",
                    "const char *",
                    "const uint16_t *__null_terminated",
                    "char *__null_terminated _Inout_",
                    "const wchar_t *__null_terminated",
                    "const char *const *__null_terminated",
                    "char **_Out_",
                ]);
                format!("{ty}{} {name}", self.null())
            }
            14 | 15 => {
                let tag = self.source.pick(&TAGS);
                let fate = self.source.pick(&[
                    "",
                    "",
                    " __consumes",
                    " __invalidates",
                    " __exclusive",
                    " __retains",
                    " __consumes_if(return == 0)",
                    " __captured_by(return)",
                    " __escapes",
                ]);
                let null = self.null();
                if null != " _Nullable" {
                    self.handles.push(name.clone());
                }
                format!("struct {tag} *{null} {name}{fate}")
            }
            16 => format!("struct {} **_Out_{} {name}", self.source.pick(&TAGS), self.null()),
            17 => format!("struct {{ {}}} {name}", self.fields(false)),
            18 | 19 => {
                let fields = self.fields(true);
                let (before, after) = self.source.pick(&[
                    ("const ", ""),
                    ("", " _Inout_"),
                    ("", " _Out_"),
                    ("const ", " __captured_by(return)"),
                ]);
                let reach =
                    if self.source.chance(80) { self.counted(&name) } else { String::new() };
                format!("{before}struct {{ {fields}}} *{reach}{after}{} {name}", self.null())
            }
            20 => {
                let keep = self.source.pick(&["", "", " __escapes", " __captured_by(return)"]);
                let params = self.source.pick(&[
                    "void",
                    "int a",
                    "void *__cookie u, long n",
                    "const char *s, struct db *d",
                    "const int *__counted_by(n) v, int n",
                    "struct { long a; double d; } s, float f",
                    "struct { long a; const char *s; } *_Inout_ p",
                ]);
                let result = self.source.pick(&[
                    "int",
                    "void",
                    "double",
                    "long",
                    "const char *",
                    "void *__cookie",
                ]);
                let null = self.null();
                format!("{result} (*{null} {name})({params}){keep}")
            }
            21 => format!("void *__cookie {name}"),
            22 => format!("int {name} __handle{}", self.source.pick(&["", " __consumes"])),
            _ => {
                let handle = self.handle();
                match handle {
                    Some(handle) => format!("const uint8_t *__counted_by({handle}.size) {name}"),
                    None => format!("int __handle *_Out_ {name}"),
                }
            }
        };
        self.params.push(text);
    }

    fn handle(&mut self) -> Option<String> {
        let count = self.handles.len();
        (count > 0).then(|| self.handles[self.source.below(count)].clone())
    }

    fn result(&mut self) -> String {
        let handle = self.handle();
        match (self.source.below(14), handle) {
            (0..=3, _) => format!("{} ", self.source.pick(&INTEGERS)),
            (4, _) => "void ".to_owned(),
            (5, _) => format!("{} ", self.scalar()),
            (6, Some(handle)) => format!("const char *_Nullable __lifetimebound({handle}) "),
            (7, Some(handle)) => {
                let size = self.expression(1);
                format!("const void *_Nullable __sized_by({size}) __lifetimebound({handle}) ")
            }
            (8, Some(handle)) => format!("struct stmt *_Nullable __lifetimebound({handle}) "),
            (9, _) => format!("struct {{ {}}} ", self.fields(false)),
            (10, _) => "const char *__lifetimebound(static) ".to_owned(),
            (11, _) => "char *__null_terminated __freed_by(f_free) ".to_owned(),
            (12, _) => "const struct { int a; long b; const char *_Nullable s; } *_Nullable __lifetimebound(static) ".to_owned(),
            _ => "struct blob *_Nullable __remember(size = 8) ".to_owned(),
        }
    }
}

/// The text of an interface.
pub fn interface(source: &mut Source<'_>) -> String {
    let mut text = String::from("#pragma portcullis library \"libfuzz.so\" module \"fuzz\"\n");
    text += source.pick(&[
        "",
        "typedef struct db db __drop(db_close);\nint db_close(db *__consumes d);\n",
        "#define N(x) ((x) * 2 + 1)\nenum color { RED, GREEN = N(3) };\n",
        "typedef struct zs { int n; const uint8_t *_Nullable __counted_by(n) at; void *s __private; } zs __boxed;\nint z(zs *z);\n",
        "#ifdef __PORTCULLIS__\ntypedef int fd __handle;\n#else\n#error no\n#endif\n",
    ]);
    for at in 0..1 + source.below(4) {
        let one = prototype(source).replacen("f(", &format!("f{at}("), 1);
        let _ = writeln!(text, "{one};");
    }
    text
}

/// Words that mean something to the parser, in any order.
pub fn soup(source: &mut Source<'_>) -> String {
    const WORDS: [&str; 86] = [
        "int",
        "char",
        "void",
        "const",
        "struct",
        "union",
        "enum",
        "s",
        "x",
        "n",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "*",
        ",",
        ";",
        ":",
        "=",
        "...",
        "0",
        "7",
        "-",
        "+",
        "/",
        "%",
        "?",
        ".",
        "->",
        "return",
        "sizeof",
        "printf",
        "static",
        "typedef",
        "extern",
        "[[",
        "]]",
        "_Alignas",
        "_Atomic",
        "\n#",
        "#pragma portcullis library \"a\"\n",
        "\n#if ",
        "\n#endif\n",
        "\n#else\n",
        "\n#define x ",
        "\n#define x(n) ",
        "\"",
        "'",
        "/*",
        "//",
        "\\\n",
        "\0",
        "é",
        "int f(",
        "const uint8_t *__counted_by(n) buf",
        "__counted_by",
        "__sized_by(",
        "__range(",
        "_Out_",
        "_In_",
        "__consumes",
        "__boxed",
        "__drop(f)",
        "__captured_by(",
        "__lifetimebound(",
        "__freed_by(f)",
        "__remember(n = ",
        "__handle",
        "__cookie",
        "__closure(",
        "__on_trap(",
        "__format(printf, 1, 2)",
        "__fuel(9)",
        "__value(",
        "__requires(",
        "__private",
        "__null_terminated",
        "<<",
        "&&",
        "99999999999999999999",
        "0x7fffffffffffffff",
        "__attribute__((packed))",
        "long double",
        "\n#undef x\n",
    ];
    let mut text = String::new();
    while !source.is_empty() {
        text += source.pick(&WORDS);
        text += " ";
    }
    text
}
