//! Who is called: the contexts of a VM by their numbers.
//!
//! Some host calls make Envoy answer and end a stream before they return, and each of those steps calls back. So nothing here is
//! borrowed while a context is called, and a context borrows nothing of itself while it calls the host for such a thing.

use super::abi::{self, Action, LogLevel};
use super::host;
use super::root::Root;
use super::stream::Stream;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

#[derive(Default)]
struct Contexts {
    /// One for each configuration.
    roots: RefCell<HashMap<u32, Rc<Root>>>,
    streams: RefCell<HashMap<u32, Rc<Stream>>>,
    /// Who waits for the answer to a callout, by its token.
    waiting: RefCell<HashMap<u32, u32>>,
}

thread_local! {
    static CONTEXTS: Contexts = Contexts::default();
}

/// What a map has of `number`, held only as long as it takes to look.
fn of<T>(map: impl FnOnce(&Contexts) -> &RefCell<HashMap<u32, Rc<T>>>, number: u32) -> Option<Rc<T>> {
    CONTEXTS.with(|all| map(all).try_borrow().ok()?.get(&number).cloned())
}

fn insert<T>(map: impl FnOnce(&Contexts) -> &RefCell<HashMap<u32, T>>, number: u32, one: T) {
    let before = CONTEXTS.with(|all| Some(map(all).try_borrow_mut().ok()?.insert(number, one)));
    drop(before);
}

fn remove<T>(map: impl FnOnce(&Contexts) -> &RefCell<HashMap<u32, T>>, number: u32) -> Option<T> {
    CONTEXTS.with(|all| map(all).try_borrow_mut().ok()?.remove(&number))
}

/// The VM begins.
pub(super) fn begin() {
    std::panic::set_hook(Box::new(|panic| abi::log(LogLevel::Critical, &panic.to_string())));
    let _ = log::set_logger(&host::LOG);
    log::set_max_level(log::LevelFilter::Info);
}

/// A root context (`root` is 0), or a stream under one.
pub(super) fn create(context: u32, root: u32) {
    if root == 0 {
        insert(|all| &all.roots, context, Rc::new(Root::new(context)));
    } else if let Some(root) = of(|all| &all.roots, root) {
        insert(|all| &all.streams, context, Rc::new(root.stream(context)));
    }
}

pub(super) fn configure(root: u32) -> bool {
    of(|all| &all.roots, root).is_some_and(|root| root.configure())
}

pub(super) fn tick(root: u32) {
    if let Some(root) = of(|all| &all.roots, root) {
        root.tick();
    }
}

/// A part of a message. Of a stream that nobody knows nothing goes on.
pub(super) fn message(context: u32, event: impl FnOnce(&Stream) -> Action) -> Action {
    of(|all| &all.streams, context).map_or(Action::Pause, |stream| event(&stream))
}

/// The answer to the callout `token` will be for `context`.
pub(super) fn wait(token: u32, context: u32) {
    insert(|all| &all.waiting, token, context);
}

/// The answer to a callout, with a body of `size` bytes. Whoever asked may have gone.
pub(super) fn answer(token: u32, size: usize) {
    let Some(context) = remove(|all| &all.waiting, token) else { return };
    if let Some(stream) = of(|all| &all.streams, context) {
        if abi::set_effective_context(context).is_ok() {
            stream.answer(size);
        }
    } else if let Some(root) = of(|all| &all.roots, context)
        && abi::set_effective_context(context).is_ok()
    {
        root.answer(token, size);
    }
}

/// The end of a stream.
pub(super) fn log(context: u32) {
    if let Some(stream) = of(|all| &all.streams, context) {
        stream.log();
    }
}

pub(super) fn delete(context: u32) {
    // What they hold is dropped when nothing is borrowed any more, and of a stream that is being called when its call has returned.
    if let Some(stream) = remove(|all| &all.streams, context) {
        if let Some(token) = stream.asked() {
            remove(|all| &all.waiting, token);
        }
    } else {
        drop(remove(|all| &all.roots, context));
    }
}
