//! Panics of a stack in process, as values.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static CATCHING: Cell<bool> = const { Cell::new(false) };
    static TEXT: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs `f`; a panic within becomes its text and place, and nothing is printed. The caller must not use what `f` left half changed.
///
/// Elsewhere in the process the panic hook stays what it was, also one that a fuzzer has set to abort.
pub(crate) fn catch<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            if CATCHING.get() {
                TEXT.with_borrow_mut(|text| *text = info.to_string());
            } else {
                before(info);
            }
        }));
    });
    let outer = CATCHING.replace(true);
    let result = catch_unwind(AssertUnwindSafe(f));
    CATCHING.set(outer);
    result.map_err(|_| TEXT.take())
}

#[cfg(test)]
mod tests {
    use super::catch;

    #[test]
    fn a_panic_is_its_text_and_place() {
        assert_eq!(catch(|| 7), Ok(7));
        let text = catch(|| panic!("overflow {}", 9)).map(|(): ()| ()).expect_err("panicked");
        assert!(text.contains("overflow 9") && text.contains("panics.rs"), "{text}");
    }
}
