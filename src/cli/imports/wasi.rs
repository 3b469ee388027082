//! What WASI has of a guest's imports.
use super::super::report::Failure;
use super::super::run;
use wasmtime::{Engine, ExternType, FuncType, Module};

const NOBODY: &str = "nobody has it: neither WASI nor a granted interface";

/// What WASI says of one import.
pub enum Wasi {
    /// It is there.
    Has,
    /// Why it is not.
    Not(String),
}

/// Says it of each import, in order.
pub fn of(engine: &Engine, module: &Module) -> Result<Vec<Wasi>, Failure> {
    const PREVIEW_1: &str = "wasi_snapshot_preview1";
    let linker = run::linker(engine)?;
    let mut store = run::store(engine, wasmtime_wasi::WasiCtxBuilder::new().build_p1());
    let say = |import: wasmtime::ImportType<'_>| {
        let theirs = linker.get_by_import(&mut store, &import).map(|it| it.ty(&store));
        match (theirs, import.ty(), import.module()) {
            (Some(ExternType::Func(theirs)), ExternType::Func(ours), _) => {
                if theirs.matches(&ours) {
                    return Wasi::Has;
                }
                let (theirs, ours) = (text(&theirs), text(&ours));
                Wasi::Not(format!("WASI has it as {theirs}, and the guest wants {ours}"))
            }
            (Some(_), _, _) => Wasi::Not("WASI has it, as something else".to_owned()),
            (None, _, PREVIEW_1) => Wasi::Not("WASI preview 1 has nothing of that name".to_owned()),
            (None, _, "wasi_unstable") => Wasi::Not(
                "this is a WASI older than preview 1, the only one that guests may use: build the guest with newer tools"
                    .to_owned(),
            ),
            (None, _, other) if other.starts_with("wasi:") => Wasi::Not(
                "this is a WASI newer than preview 1, the only one that guests may use: build the guest for `wasm32-wasip1`"
                    .to_owned(),
            ),
            (None, ExternType::Func(_), _) => Wasi::Not(format!("{NOBODY}; {}", super::OWN_HEADER)),
            (None, ..) => Wasi::Not(NOBODY.to_owned()),
        }
    };
    Ok(module.imports().map(say).collect())
}

/// As an import has it: `(func (param i32))`.
fn text(ty: &FuncType) -> String {
    let text = ty.to_string();
    let bare = text.strip_prefix("(type ").and_then(|text| text.strip_suffix(')'));
    bare.map(str::to_owned).unwrap_or(text)
}
