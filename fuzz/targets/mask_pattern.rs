#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rerank_guard_fuzz::mask_pattern::check(data));
