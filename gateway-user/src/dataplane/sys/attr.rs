//! Argument structs of bpf(2): each is the prefix of the kernel's `union bpf_attr` that a command reads
//! (`linux/bpf.h`). The kernel takes what lies beyond as zero.

/// `BPF_MAP_TYPE_ARRAY`.
pub(super) const MAP_TYPE_ARRAY: u32 = 2;

/// `BPF_MAP_CREATE`.
#[repr(C)]
#[derive(Default)]
pub(super) struct MapCreate {
    pub(super) kind: u32,
    pub(super) key_size: u32,
    pub(super) value_size: u32,
    pub(super) max_entries: u32,
    pub(super) flags: u32,
    pub(super) inner_map_fd: u32,
    pub(super) numa_node: u32,
    pub(super) name: [u8; 16],
    pub(super) ifindex: u32,
}

/// `BPF_MAP_*_ELEM`.
#[repr(C)]
#[derive(Default)]
pub(super) struct Element {
    pub(super) map_fd: u32,
    pub(super) pad: u32,
    pub(super) key: u64,
    pub(super) value: u64,
    pub(super) flags: u64,
}

/// `BPF_MAP_*_BATCH`.
#[expect(clippy::struct_field_names, reason = "the kernel's names")]
#[repr(C)]
#[derive(Default)]
pub(super) struct Batch {
    pub(super) in_batch: u64,
    pub(super) out_batch: u64,
    pub(super) keys: u64,
    pub(super) values: u64,
    pub(super) count: u32,
    pub(super) map_fd: u32,
    pub(super) element_flags: u64,
    pub(super) flags: u64,
}

/// `BPF_OBJ_PIN` and `BPF_OBJ_GET`.
#[repr(C)]
#[derive(Default)]
pub(super) struct Object {
    pub(super) path: u64,
    pub(super) fd: u32,
    pub(super) flags: u32,
}

/// `BPF_OBJ_GET_INFO_BY_FD`.
#[repr(C)]
#[derive(Default)]
pub(super) struct Info {
    pub(super) fd: u32,
    pub(super) len: u32,
    pub(super) buffer: u64,
}

/// `BPF_PROG_QUERY`.
#[repr(C)]
#[derive(Default)]
pub(super) struct Query {
    pub(super) target: u32,
    pub(super) attach_type: u32,
    pub(super) filter: u32,
    pub(super) attach_flags: u32,
    pub(super) prog_ids: u64,
    pub(super) count: u32,
    pub(super) pad: u32,
    pub(super) prog_attach_flags: u64,
    pub(super) link_ids: u64,
    pub(super) link_attach_flags: u64,
    pub(super) revision: u64,
}

/// `BPF_LINK_CREATE`; `relative_fd` and `expected_revision` are read for tcx only.
#[repr(C)]
#[derive(Default)]
pub(super) struct LinkCreate {
    pub(super) prog_fd: u32,
    pub(super) target: u32,
    pub(super) attach_type: u32,
    pub(super) flags: u32,
    pub(super) relative_fd: u32,
    pub(super) pad: u32,
    pub(super) expected_revision: u64,
}

/// `BPF_LINK_UPDATE`.
#[repr(C)]
#[derive(Default)]
pub(super) struct LinkUpdate {
    pub(super) link_fd: u32,
    pub(super) new_prog_fd: u32,
    pub(super) flags: u32,
    pub(super) old_prog_fd: u32,
}

/// The kernel's `struct bpf_map_info`, up to the name.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct MapInfo {
    pub(in super::super) kind: u32,
    pub(in super::super) id: u32,
    pub(in super::super) key_size: u32,
    pub(in super::super) value_size: u32,
    pub(in super::super) max_entries: u32,
    pub(in super::super) flags: u32,
    pub(in super::super) name: [u8; 16],
}

/// The kernel's `struct bpf_prog_info`, the first two fields.
#[repr(C)]
#[derive(Default)]
pub(super) struct ProgramInfo {
    pub(super) kind: u32,
    pub(super) id: u32,
}

/// The kernel's `struct bpf_link_info`: `target` is the interface index of an XDP or tcx link, the inode of a
/// network namespace, or (with `target_high`) the id of a cgroup.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct LinkInfo {
    pub(in super::super) kind: u32,
    pub(in super::super) id: u32,
    pub(in super::super) program: u32,
    pad: u32,
    pub(in super::super) target: u32,
    pub(in super::super) target_high: u32,
}
