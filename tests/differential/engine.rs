//! The ways to run a case: one trait, an engine for each tier of the bridge.
use crate::case::{Batch, Case};
use crate::text;
use portcullis::host::{Bridge, ImportStatus, Natives, Tier};
use portcullis::plan::CallError;
use std::path::Path;
use wasmtime::{Instance, Linker, Memory, Module, Store};

/// A way to run calls.
pub trait Engine: Sync {
    /// What messages call it.
    fn name(&self) -> &'static str;

    /// How many of `all` cases it must take itself, at least. What it leaves to another engine is
    /// counted as skipped, and skipping must not hide.
    fn floor(&self, all: usize) -> usize;

    /// Instantiates the guest of a batch.
    fn instantiate(&self, batch: &Batch, guest: &Module, library: &Path) -> Box<dyn Running>;
}

/// The guest of a batch, ready to call.
pub trait Running {
    /// Whether the engine itself runs this case.
    fn takes(&self, case: &Case) -> bool;

    /// First byte of the guest's memory.
    fn base(&self) -> usize;

    /// Makes one call: the guest's memory afterwards, and how it ended.
    fn call(&mut self, case: &Case, memory: &[u8]) -> (Vec<u8>, Result<(), Failure>);
}

/// How a call failed.
#[derive(Debug)]
pub enum Failure {
    /// With an error of the bridge.
    Call(CallError),
    /// With anything else, which is always wrong.
    Other(String),
}

/// A tier of the bridge.
pub struct BridgeTier {
    pub tier: Tier,
    /// As [`Engine::floor`], in percent.
    pub floor: usize,
    /// There is never any code: guests enter the interpreter by themselves.
    pub straight: bool,
}

impl Engine for BridgeTier {
    fn name(&self) -> &'static str {
        match self.tier {
            _ if self.straight => "straight",
            Tier::Interpreter => "interpreter",
            Tier::Template => "template",
            Tier::Cranelift => "cranelift",
            Tier::Direct => "direct",
        }
    }

    fn floor(&self, all: usize) -> usize {
        all * self.floor / 100
    }

    fn instantiate(&self, batch: &Batch, guest: &Module, library: &Path) -> Box<dyn Running> {
        let mut builder = Bridge::builder(guest.engine()).max_tier(self.tier);
        if self.straight {
            builder = builder.when_hot(u32::MAX);
        }
        let interface = text::interface(batch);
        let builder = builder.library(&text::library(batch), library).expect("an absolute path");
        // SAFETY: interface and library are written from the same description; their functions
        // touch what the annotations say and the library's own memory.
        let builder = unsafe { builder.grant_interface("batch.h", &interface) };
        let builder = builder.unwrap_or_else(|error| panic!("{error}"));
        let bridge = builder.build().unwrap_or_else(|error| panic!("{error}"));
        let mut store = Store::new(guest.engine(), Natives::default());
        let linker = Linker::new(guest.engine());
        let instance = bridge.instantiate(&mut store, &linker, guest, |natives| natives);
        let instance = instance.unwrap_or_else(|error| panic!("{error:?}"));
        let memory = instance.get_memory(&mut store, "memory").expect("it is exported");
        let takes = self.takes(&bridge, guest);
        Box::new(BridgeGuest { store, instance, memory, takes })
    }
}

impl BridgeTier {
    /// Whether it runs each case of a batch: guests import their functions in order.
    fn takes(&self, bridge: &Bridge, guest: &Module) -> Vec<bool> {
        let imports = bridge.describe(guest).into_iter().map(|import| match import.status {
            ImportStatus::Native(functions) if functions.len() == 1 && self.straight => {
                functions[0].straight
            }
            ImportStatus::Native(functions) if functions.len() == 1 => {
                functions[0].tier == self.tier
            }
            other => panic!("{}: {other:?}", import.name),
        });
        imports.collect()
    }
}

struct BridgeGuest {
    store: Store<Natives>,
    instance: Instance,
    memory: Memory,
    takes: Vec<bool>,
}

impl Running for BridgeGuest {
    fn takes(&self, case: &Case) -> bool {
        self.takes[case.number]
    }

    fn base(&self) -> usize {
        self.memory.data_ptr(&self.store).addr()
    }

    fn call(&mut self, case: &Case, memory: &[u8]) -> (Vec<u8>, Result<(), Failure>) {
        self.memory.data_mut(&mut self.store).copy_from_slice(memory);
        let name = format!("c{}", case.number);
        let call = self.instance.get_typed_func::<(), ()>(&mut self.store, &name);
        let ended = call.expect("an export for each case").call(&mut self.store, ());
        let ended = ended.map_err(|error| match error.downcast::<CallError>() {
            Ok(error) => Failure::Call(error),
            Err(error) => Failure::Other(format!("{error:?}")),
        });
        (self.memory.data(&self.store).to_vec(), ended)
    }
}
