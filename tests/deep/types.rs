//! Random structures that pointers lead to, as C text: the same text is the prototype and, with the
//! annotations erased, what gcc compiles.
use super::rng::Rng;
use std::fmt::Write as _;

/// A scalar type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar {
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    Long,
    ULong,
    I64,
    F32,
    F64,
    Bool,
}

pub const SCALARS: [Scalar; 12] = [
    Scalar::I8,
    Scalar::U8,
    Scalar::I16,
    Scalar::U16,
    Scalar::I32,
    Scalar::U32,
    Scalar::Long,
    Scalar::ULong,
    Scalar::I64,
    Scalar::F32,
    Scalar::F64,
    Scalar::Bool,
];

impl Scalar {
    pub fn name(self) -> &'static str {
        match self {
            Scalar::I8 => "int8_t",
            Scalar::U8 => "uint8_t",
            Scalar::I16 => "int16_t",
            Scalar::U16 => "uint16_t",
            Scalar::I32 => "int",
            Scalar::U32 => "unsigned",
            Scalar::Long => "long",
            Scalar::ULong => "unsigned long",
            Scalar::I64 => "int64_t",
            Scalar::F32 => "float",
            Scalar::F64 => "double",
            Scalar::Bool => "bool",
        }
    }

    /// Size and alignment for a guest whose words have so many bytes.
    pub fn size(self, word: usize) -> usize {
        match self {
            Scalar::I8 | Scalar::U8 | Scalar::Bool => 1,
            Scalar::I16 | Scalar::U16 => 2,
            Scalar::I32 | Scalar::U32 | Scalar::F32 => 4,
            Scalar::Long | Scalar::ULong => word,
            Scalar::I64 | Scalar::F64 => 8,
        }
    }
}

/// A struct: its number, and its fields.
#[derive(Clone, Debug)]
pub struct Struct {
    pub number: usize,
    pub fields: Vec<Field>,
}

#[derive(Clone, Debug)]
pub enum Field {
    Scalar(Scalar),
    /// How many the field of that number in front of this one counts; not changed by C.
    Count,
    Array(Scalar, usize),
    Nested(Struct),
    NestedArray(Struct, usize),
    Pointer {
        to: Pointee,
        constant: bool,
        nullable: bool,
    },
    Handle,
    /// Two of them, which C swaps.
    Handles,
    /// Called with the cookie in the next field; made NULL if it may be.
    Function {
        nullable: bool,
    },
    /// Two of them, called with NULL, swapped.
    Functions,
    /// Made the next integer. `closure`: it goes with the function in front.
    Cookie {
        closure: bool,
    },
    /// Two of them, swapped.
    Cookies,
}

#[derive(Clone, Debug)]
pub enum Pointee {
    One(Struct),
    /// Counted by the field in front.
    Structs(Struct),
    Scalar(Scalar),
    Scalars(Scalar),
    Text,
    /// Ends with NULL.
    Texts,
}

pub struct Generator<'r> {
    pub rng: &'r mut Rng,
    pub next: usize,
}

impl Generator<'_> {
    fn below(&mut self, n: usize) -> usize {
        self.rng.below(n)
    }

    fn scalar(&mut self) -> Scalar {
        SCALARS[self.below(12)]
    }

    /// A struct that leads `depth` levels on at most.
    pub fn structure(&mut self, depth: usize) -> Struct {
        let number = self.next;
        self.next += 1;
        let mut fields = Vec::new();
        for _ in 0..1 + self.below(4) {
            let leaf = depth == 0;
            match self.below(if leaf { 10 } else { 16 }) {
                0 | 1 => fields.push(Field::Scalar(self.scalar())),
                2 => {
                    let scalar = self.scalar();
                    let length = 1 + self.below(3);
                    fields.push(Field::Array(scalar, length));
                }
                3 => fields.push(Field::Handle),
                4 => self.pointer(&mut fields, Pointee::Text, false),
                5 => {
                    let scalar = self.scalar();
                    self.pointer(&mut fields, Pointee::Scalar(scalar), false);
                }
                6 => {
                    let scalar = self.scalar();
                    self.pointer(&mut fields, Pointee::Scalars(scalar), true);
                }
                7 => fields.push(Field::Handles),
                8 => fields.push(Field::Functions),
                9 => fields.push(Field::Cookies),
                10 => fields.push(Field::Nested(self.structure(depth - 1))),
                11 => {
                    let inner = self.structure(depth - 1);
                    fields.push(Field::NestedArray(inner, 2));
                }
                12 => self.pointer(&mut fields, Pointee::Texts, false),
                13 | 14 => {
                    let inner = self.structure(depth - 1);
                    self.pointer(&mut fields, Pointee::One(inner), false);
                }
                _ => {
                    let inner = self.structure(depth - 1);
                    self.pointer(&mut fields, Pointee::Structs(inner), true);
                }
            }
        }
        Struct { number, fields }
    }

    /// Adds a handle, a function and its cookie somewhere in what a struct leads to.
    pub fn enrich(&mut self, ty: &mut Struct) {
        let deeper = self.below(3) > 0;
        let inner = ty.fields.iter_mut().filter_map(|field| match field {
            Field::Nested(inner) | Field::NestedArray(inner, _) => Some(inner),
            Field::Pointer { to: Pointee::One(inner) | Pointee::Structs(inner), .. } => Some(inner),
            _ => None,
        });
        if let Some(inner) = inner.last().filter(|_| deeper) {
            return self.enrich(inner);
        }
        let (nullable, closure) = (self.below(2) == 0, self.below(2) == 0);
        ty.fields.push(Field::Function { nullable });
        ty.fields.push(Field::Cookie { closure });
        ty.fields.push(Field::Handle);
    }

    fn pointer(&mut self, fields: &mut Vec<Field>, to: Pointee, counted: bool) {
        if counted {
            fields.push(Field::Count);
        }
        let constant = self.below(2) == 0;
        let nullable = self.below(2) == 0;
        fields.push(Field::Pointer { to, constant, nullable });
    }
}

impl Struct {
    /// Its definition, with annotations; structs that it leads to are defined inside.
    pub fn text(&self) -> String {
        let mut text = format!("struct s{} {{ ", self.number);
        for (index, field) in self.fields.iter().enumerate() {
            let _ = match field {
                Field::Scalar(scalar) => write!(text, "{} f{index}; ", scalar.name()),
                Field::Count => write!(text, "unsigned short f{index}; "),
                Field::Array(scalar, n) => write!(text, "{} f{index}[{n}]; ", scalar.name()),
                Field::Nested(inner) => write!(text, "{} f{index}; ", inner.text()),
                Field::NestedArray(inner, n) => write!(text, "{} f{index}[{n}]; ", inner.text()),
                Field::Handle => write!(text, "struct thing *_Nullable f{index}; "),
                Field::Handles => write!(text, "struct thing *_Nullable f{index}[2]; "),
                Field::Function { nullable } => {
                    let null = if *nullable { "_Nullable " } else { "" };
                    write!(text, "int (*{null}f{index})(void *__cookie user, int x); ")
                }
                Field::Functions => {
                    write!(text, "int (*f{index}[2])(void *__cookie user, int x); ")
                }
                Field::Cookie { closure: false } => write!(text, "void *__cookie f{index}; "),
                Field::Cookie { closure: true } => {
                    let function = index.wrapping_sub(1);
                    write!(text, "void *__closure(f{function}) f{index}; ")
                }
                Field::Cookies => write!(text, "void *__cookie f{index}[2]; "),
                Field::Pointer { to, constant, nullable } => {
                    let constant = if *constant { "const " } else { "" };
                    let counted = format!("__counted_by(f{}) ", index.wrapping_sub(1));
                    let (pointee, reach) = match to {
                        Pointee::One(inner) => (inner.text(), ""),
                        Pointee::Structs(inner) => (inner.text(), counted.as_str()),
                        Pointee::Scalar(scalar) => (scalar.name().to_owned(), "__single "),
                        Pointee::Scalars(scalar) => (scalar.name().to_owned(), counted.as_str()),
                        Pointee::Text => ("char".to_owned(), "__null_terminated "),
                        Pointee::Texts => (
                            format!("{constant}char *__null_terminated"),
                            "_In_ __null_terminated ",
                        ),
                    };
                    let constant = if matches!(to, Pointee::Texts) { "" } else { constant };
                    let null = if *nullable { "_Nullable " } else { "" };
                    write!(text, "{constant}{pointee} *{reach}{null}f{index}; ")
                }
            };
        }
        text + "}"
    }

    /// The C function that walks it, after those of what it leads to.
    pub fn walker(&self, text: &mut String) {
        for field in &self.fields {
            match field {
                Field::Nested(inner) | Field::NestedArray(inner, _) => inner.walker(text),
                Field::Pointer { to: Pointee::One(inner) | Pointee::Structs(inner), .. } => {
                    inner.walker(text);
                }
                _ => {}
            }
        }
        let number = self.number;
        let _ =
            writeln!(text, "static uint64_t w{number}(struct s{number} *p, int w, uint64_t h) {{");
        for (index, field) in self.fields.iter().enumerate() {
            let at = format!("p->f{index}");
            let count = format!("p->f{}", index.wrapping_sub(1));
            let _ = match field {
                Field::Scalar(scalar) => writeln!(text, "{}", visit(*scalar, &at, "w")),
                Field::Count => writeln!(text, "h = mix(h, {at});"),
                Field::Array(scalar, n) => {
                    let one = visit(*scalar, &format!("{at}[i]"), "w");
                    writeln!(text, "for (int i = 0; i < {n}; i++) {{ {one} }}")
                }
                Field::Nested(inner) => writeln!(text, "h = w{}(&{at}, w, h);", inner.number),
                Field::NestedArray(inner, n) => writeln!(
                    text,
                    "for (int i = 0; i < {n}; i++) h = w{}(&{at}[i], w, h);",
                    inner.number
                ),
                Field::Handle => writeln!(
                    text,
                    "h = mix(h, {at} ? *(unsigned *){at} : 0); if (w) {at} = {at} ? (void *)0 : other;"
                ),
                Field::Handles => writeln!(
                    text,
                    "for (int i = 0; i < 2; i++) h = mix(h, {at}[i] ? *(unsigned *){at}[i] : 0); \
                     if (w) {{ void *one = {at}[0]; {at}[0] = {at}[1]; {at}[1] = one; }}"
                ),
                Field::Function { nullable } => {
                    let user = format!("p->f{}", index + 1);
                    let change =
                        if *nullable { format!("if (w) {at} = 0;") } else { String::new() };
                    writeln!(
                        text,
                        "if ({at}) {{ h = mix(h, (unsigned){at}({user}, (int)h)); {change} }} else h = mix(h, 4);"
                    )
                }
                Field::Functions => writeln!(
                    text,
                    "for (int i = 0; i < 2; i++) h = mix(h, (unsigned){at}[i](0, (int)h)); \
                     if (w) {{ void *one = {at}[0]; {at}[0] = {at}[1]; {at}[1] = one; }}"
                ),
                Field::Cookie { .. } => {
                    writeln!(text, "h = mix(h, {at} == 0); if (w && {at}) {at} = (char *){at} + 1;")
                }
                Field::Cookies => writeln!(
                    text,
                    "h = mix(h, (char *){at}[1] - (char *){at}[0]); \
                     if (w) {{ void *one = {at}[0]; {at}[0] = {at}[1]; {at}[1] = one; }}"
                ),
                Field::Pointer { to, constant, nullable } => {
                    let w = if *constant { "0" } else { "1" };
                    let walk = match to {
                        Pointee::One(inner) => {
                            format!("h = w{0}((struct s{0} *){at}, {w}, h);", inner.number)
                        }
                        Pointee::Structs(inner) => format!(
                            "for (int i = 0; i < {count}; i++) h = w{0}((struct s{0} *){at} + i, {w}, h);",
                            inner.number
                        ),
                        Pointee::Scalar(scalar) => {
                            let cast = format!("*({} *){at}", scalar.name());
                            visit(*scalar, &cast, w)
                        }
                        Pointee::Scalars(scalar) => {
                            let cast = format!("(({} *){at})[i]", scalar.name());
                            let one = visit(*scalar, &cast, w);
                            format!("for (int i = 0; i < {count}; i++) {{ {one} }}")
                        }
                        Pointee::Text => format!("h = text(h, (char *){at}, {w});"),
                        Pointee::Texts => format!(
                            "for (int i = 0; {at}[i]; i++) h = text(h, (char *){at}[i], {w});"
                        ),
                    };
                    // What may be NULL is made NULL, a string begins one character later.
                    let change = match to {
                        Pointee::Text => format!("if (w && *{at}) {at} += 1;"),
                        _ if *nullable => format!("if (w) {at} = 0;"),
                        _ => String::new(),
                    };
                    writeln!(
                        text,
                        "if ({at}) {{ h = mix(h, 1); {walk} {change} }} else h = mix(h, 2);"
                    )
                }
            };
        }
        text.push_str("return h;\n}\n");
    }

    /// How many of its members `f` holds for, those of what it leads to among them.
    pub fn count(&self, f: &dyn Fn(&Field) -> bool) -> usize {
        let inner = |field: &Field| match field {
            Field::Nested(inner) | Field::NestedArray(inner, _) => inner.count(f),
            Field::Pointer { to: Pointee::One(inner) | Pointee::Structs(inner), .. } => {
                inner.count(f)
            }
            _ => 0,
        };
        self.fields.iter().map(|field| usize::from(f(field)) + inner(field)).sum()
    }

    /// How many pointers lead on behind each other.
    pub fn depth(&self) -> usize {
        let inner = |field: &Field| match field {
            Field::Nested(inner) | Field::NestedArray(inner, _) => inner.depth(),
            Field::Pointer { to: Pointee::One(inner) | Pointee::Structs(inner), .. } => {
                1 + inner.depth()
            }
            Field::Pointer { .. } => 1,
            _ => 0,
        };
        self.fields.iter().map(inner).max().unwrap_or(0)
    }
}

/// C that reads a scalar and changes it if `w`.
fn visit(scalar: Scalar, at: &str, w: &str) -> String {
    let (read, change) = match scalar {
        Scalar::F32 => (format!("bits32(&{at})"), format!("{at} = -{at}")),
        Scalar::F64 => (format!("bits64(&{at})"), format!("{at} = -{at}")),
        Scalar::Bool => (format!("*(unsigned char *)&{at}"), format!("{at} = !{at}")),
        _ => (format!("(uint64_t){at}"), format!("{at} ^= 1")),
    };
    format!("h = mix(h, {read}); if ({w}) {change};")
}
