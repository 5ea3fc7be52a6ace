//! A reader of BTF of this suite's own, so that the layouts are not checked by the code that loads them
//! (Documentation/bpf/btf.rst).

use std::collections::HashMap;

/// A struct: its size, and its fields with their offsets in bytes.
pub struct Struct {
    pub size: usize,
    pub fields: Vec<(String, usize)>,
}

/// All structs of an object's section `.BTF`, by Rust's name for them.
pub fn structs(object: &[u8]) -> HashMap<String, Struct> {
    let btf = section(object, ".BTF");
    let header = word(btf, 4) as usize;
    let (types, types_len) = (header + word(btf, 8) as usize, word(btf, 12) as usize);
    let strings = header + word(btf, 16) as usize;
    let name = |offset: u32| {
        let start = strings + offset as usize;
        let end = start + btf[start..].iter().position(|byte| *byte == 0).unwrap();
        String::from_utf8_lossy(&btf[start..end]).into_owned()
    };
    let mut found = HashMap::new();
    let mut at = types;
    while at < types + types_len {
        let (name_at, info, size) = (word(btf, at), word(btf, at + 4), word(btf, at + 8) as usize);
        let (kind, count) = ((info >> 24) & 0x1f, (info & 0xffff) as usize);
        at += 12;
        if kind == STRUCT {
            let field = |index: usize| {
                let member = at + index * 12;
                (name(word(btf, member)), (word(btf, member + 8) & 0xff_ffff) as usize / 8)
            };
            let fields = (0..count).map(field).collect();
            found.insert(readable(&name(name_at)), Struct { size, fields });
        }
        at += match kind {
            INT | VARIABLE | TAG => 4,
            ARRAY => 12,
            STRUCT | UNION | SECTION | ENUM64 => count * 12,
            ENUM | PROTOTYPE => count * 8,
            _ => 0,
        };
    }
    found
}

const INT: u32 = 1;
const ARRAY: u32 = 3;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const ENUM: u32 = 6;
const PROTOTYPE: u32 = 13;
const VARIABLE: u32 = 14;
const SECTION: u32 = 15;
const TAG: u32 = 17;
const ENUM64: u32 = 19;

/// bpf-linker writes what C allows in no name as its number: `_3C_` is `<`.
fn readable(name: &str) -> String {
    let marks = [("_3C_", "<"), ("_3E_", ">"), ("_5B_", "["), ("_5D_", "]"), ("_3B_", ";"), ("_20_", " ")];
    marks.iter().fold(name.to_owned(), |name, (code, mark)| name.replace(code, mark))
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn long(bytes: &[u8], at: usize) -> usize {
    usize::try_from(u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())).unwrap()
}

/// A section of a 64-bit little-endian ELF file.
fn section<'a>(elf: &'a [u8], wanted: &str) -> &'a [u8] {
    let half = |at: usize| u16::from_le_bytes(elf[at..at + 2].try_into().unwrap()) as usize;
    let (headers, size, count, names) = (long(elf, 0x28), half(0x3a), half(0x3c), half(0x3e));
    let header = |index: usize| headers + index * size;
    let range = |index: usize| {
        let at = header(index);
        &elf[long(elf, at + 0x18)..long(elf, at + 0x18) + long(elf, at + 0x20)]
    };
    let text = range(names);
    let is_wanted = |index: &usize| {
        let name = &text[word(elf, header(*index)) as usize..];
        name.starts_with(wanted.as_bytes()) && name.get(wanted.len()) == Some(&0)
    };
    range((0..count).find(is_wanted).unwrap_or_else(|| panic!("no section {wanted}")))
}
