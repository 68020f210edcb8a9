//! An allocator for decoded frames that are passed on without a copy while the decoder still reads them.
//!
//! A decoder keeps its reference frames mapped for writing, though it only reads them by then. GStreamer does not share
//! memory that is mapped for writing: if the buffer needs a second owner, it copies the whole frame. With this
//! allocator that copy shares the frame's block. A block returns to the free list when its last owner drops it. A write
//! to memory whose block is shared gets another block first.
//!
//! So memory that is mapped for writing has to be filled completely. Only decoders that do so may use this allocator.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::{self, NonNull};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::glib::translate::IntoGlib;
use gstreamer::prelude::*;
use gstreamer::subclass::prelude::*;

/// Largest number of free blocks: more than a decoder and the frames in a pipeline hold.
const MAX_FREE: usize = 64;

glib::wrapper! {
    /// The allocator.
    pub struct FrameAllocator(ObjectSubclass<imp::FrameAllocator>) @extends gst::Allocator, gst::Object;
}

impl Default for FrameAllocator {
    fn default() -> Self {
        glib::Object::new()
    }
}

/// The free list. All blocks have the same layout.
#[derive(Default)]
struct FreeList(Mutex<Vec<Bytes>>);

/// Bytes on the heap.
struct Bytes {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: the pointer is owned exclusively.
unsafe impl Send for Bytes {}

impl Bytes {
    fn new(layout: Layout) -> Self {
        // SAFETY: the layout's size is not zero, see `Memory::new`.
        let start = unsafe { alloc(layout) };
        Self { start: NonNull::new(start).unwrap_or_else(|| handle_alloc_error(layout)), layout }
    }
}

impl Drop for Bytes {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with the same layout.
        unsafe { dealloc(self.start.as_ptr(), self.layout) }
    }
}

impl FreeList {
    fn take(&self, layout: Layout) -> Bytes {
        let mut free = lock(&self.0);
        // Blocks of an earlier frame size are not needed any more.
        free.retain(|bytes| bytes.layout == layout);
        free.pop().unwrap_or_else(|| Bytes::new(layout))
    }
}

/// The bytes of one frame, shared by any number of memories.
struct Block {
    bytes: Option<Bytes>,
    start: NonNull<u8>,
    free_list: Arc<FreeList>,
}

// SAFETY: GStreamer's locks exclude a writer from all other accesses.
unsafe impl Send for Block {}
// SAFETY: as above.
unsafe impl Sync for Block {}

impl Block {
    fn new(free_list: &Arc<FreeList>, layout: Layout) -> Arc<Self> {
        let bytes = free_list.take(layout);
        Arc::new(Self { start: bytes.start, bytes: Some(bytes), free_list: Arc::clone(free_list) })
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let mut free = lock(&self.free_list.0);
        if free.len() < MAX_FREE {
            free.extend(self.bytes.take());
        }
    }
}

/// A memory in GStreamer's sense.
#[repr(C)]
struct Memory {
    head: gst::ffi::GstMemory,
    layout: Layout,
    free_list: Arc<FreeList>,
    state: Mutex<MemoryState>,
}

struct MemoryState {
    block: Arc<Block>,
    maps: usize,
    /// Whether it is a copy of another memory, so that its content has to be kept.
    copied: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Memory {
    /// Returns the layout of a block; `None` if the sizes are out of range.
    fn layout(size: usize, params: &gst::AllocationParams) -> Option<Layout> {
        let all = size.checked_add(params.prefix())?.checked_add(params.padding())?;
        let align = params.align() | gst::Memory::default_alignment();
        Layout::from_size_align(all.max(1), align + 1).ok()
    }

    /// Returns the block to map. A write to a shared block gets another one first.
    fn map(&self, write: bool) -> NonNull<u8> {
        let mut state = lock(&self.state);
        if write && state.maps == 0 && Arc::strong_count(&state.block) > 1 {
            let own = Block::new(&self.free_list, self.layout);
            if state.copied {
                // SAFETY: both blocks have this layout, and the new one is not shared yet.
                unsafe { ptr::copy_nonoverlapping(state.block.start.as_ptr(), own.start.as_ptr(), self.layout.size()) };
            }
            state.block = own;
        }
        state.maps += 1;
        state.block.start
    }

    fn unmap(&self) {
        lock(&self.state).maps -= 1;
    }
}

mod imp {
    use super::*;

    #[derive(Default)]
    pub struct FrameAllocator {
        pub(super) free_list: Arc<FreeList>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for FrameAllocator {
        const NAME: &'static str = "LivelabelFrameAllocator";
        type Type = super::FrameAllocator;
        type ParentType = gst::Allocator;

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            let allocator = object.as_ptr().cast::<gst::ffi::GstAllocator>();
            // SAFETY: every subclass' instance begins with a GstAllocator.
            unsafe {
                (*allocator).mem_type = c"LivelabelFrame".as_ptr();
                (*allocator).mem_map = Some(map);
                (*allocator).mem_unmap = Some(unmap);
                (*allocator).mem_copy = Some(copy);
                (*allocator).mem_share = Some(copy);
            }
        }
    }

    impl ObjectImpl for FrameAllocator {}
    impl GstObjectImpl for FrameAllocator {}

    // SAFETY: `alloc` returns a struct that begins with an initialised GstMemory, and `free` gets nothing else.
    unsafe impl AllocatorImpl for FrameAllocator {
        unsafe fn alloc(&self, size: usize, params: &gst::AllocationParams) -> *mut gst::ffi::GstMemory {
            let Some(layout) = Memory::layout(size, params) else { return ptr::null_mut() };
            let block = Block::new(&self.free_list, layout);
            // SAFETY: the block holds prefix, size and padding.
            unsafe {
                let zeroed = |flag| params.flags().contains(flag);
                if zeroed(gst::MemoryFlags::ZERO_PREFIXED) {
                    block.start.as_ptr().write_bytes(0, params.prefix());
                }
                if zeroed(gst::MemoryFlags::ZERO_PADDED) {
                    block.start.as_ptr().add(params.prefix() + size).write_bytes(0, params.padding());
                }
            }
            let memory_params = Params {
                flags: params.flags().into_glib(),
                allocator: self.obj().as_ptr().cast(),
                align: params.align(),
                offset: params.prefix(),
                size,
            };
            new(memory_params, layout, Arc::clone(&self.free_list), MemoryState { block, maps: 0, copied: false })
        }

        unsafe fn free(&self, memory: *mut gst::ffi::GstMemory) {
            // SAFETY: allocated by `new` as a box; this is its last reference.
            drop(unsafe { Box::from_raw(memory.cast::<Memory>()) });
        }
    }

    /// The parameters of a GstMemory.
    struct Params {
        flags: gst::ffi::GstMemoryFlags,
        allocator: *mut gst::ffi::GstAllocator,
        align: usize,
        offset: usize,
        size: usize,
    }

    fn new(params: Params, layout: Layout, free_list: Arc<FreeList>, state: MemoryState) -> *mut gst::ffi::GstMemory {
        // SAFETY: a GstMemory consists of numbers and pointers, which `gst_memory_init` sets.
        let head = unsafe { std::mem::zeroed() };
        let memory = Box::into_raw(Box::new(Memory { head, layout, free_list, state: Mutex::new(state) }));
        let Params { flags, allocator, align, offset, size } = params;
        // SAFETY: the box is not moved until `free`.
        unsafe {
            let head = &raw mut (*memory).head;
            gst::ffi::gst_memory_init(head, flags, allocator, ptr::null_mut(), layout.size(), align, offset, size);
        }
        memory.cast()
    }

    /// Maps the block; GStreamer adds the offset.
    unsafe extern "C" fn map(
        memory: *mut gst::ffi::GstMemory,
        _maxsize: usize,
        flags: gst::ffi::GstMapFlags,
    ) -> glib::ffi::gpointer {
        // SAFETY: GStreamer calls this for memory of this allocator only.
        let memory = unsafe { &*memory.cast::<Memory>() };
        memory.map(flags & gst::ffi::GST_MAP_WRITE != 0).as_ptr().cast()
    }

    unsafe extern "C" fn unmap(memory: *mut gst::ffi::GstMemory) {
        // SAFETY: as above.
        unsafe { &*memory.cast::<Memory>() }.unmap();
    }

    /// Copies the memory, or a part of it, by sharing its block.
    unsafe extern "C" fn copy(
        memory: *mut gst::ffi::GstMemory,
        offset: isize,
        size: isize,
    ) -> *mut gst::ffi::GstMemory {
        // SAFETY: as above; a memory's numbers do not change while it is copied.
        unsafe {
            let head = &(*memory);
            let from = &*memory.cast::<Memory>();
            let remaining = head.size.saturating_add_signed(offset.saturating_neg());
            let params = Params {
                flags: 0,
                allocator: head.allocator,
                align: head.align,
                offset: head.offset.saturating_add_signed(offset),
                size: usize::try_from(size).unwrap_or(remaining),
            };
            let block = Arc::clone(&lock(&from.state).block);
            new(params, from.layout, Arc::clone(&from.free_list), MemoryState { block, maps: 0, copied: true })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 1 << 16;

    fn filled(allocator: &FrameAllocator, value: u8) -> gst::Memory {
        let mut memory = allocator.alloc(SIZE, None).unwrap();
        memory.get_mut().unwrap().map_writable().unwrap().fill(value);
        memory
    }

    fn starts(memory: &gst::Memory) -> (*const u8, u8) {
        let map = memory.map_readable().unwrap();
        assert_eq!(map.len(), SIZE);
        (map.as_ptr(), map[SIZE - 1])
    }

    #[test]
    fn a_copy_shares_the_block_until_the_original_is_written() {
        gst::init().unwrap();
        let allocator = FrameAllocator::default();
        let mut first = filled(&allocator, 1);
        let copy = first.copy();
        let shared = starts(&first);
        assert_eq!(starts(&copy), shared);

        first.get_mut().unwrap().map_writable().unwrap().fill(2);
        assert_eq!(starts(&copy), (shared.0, 1));
        assert_eq!(starts(&first).1, 2);
        assert_ne!(starts(&first).0, shared.0);

        // Without a copy, a write keeps the block.
        drop(copy);
        let own = starts(&first).0;
        first.get_mut().unwrap().map_writable().unwrap().fill(3);
        assert_eq!(starts(&first), (own, 3));
        // The free block is reused.
        assert_eq!(starts(&filled(&allocator, 4)).0, shared.0);
    }

    #[test]
    fn writing_to_a_copy_keeps_its_content_and_the_originals() {
        gst::init().unwrap();
        let first = filled(&FrameAllocator::default(), 1);
        let mut copy = first.copy();
        copy.get_mut().unwrap().map_writable().unwrap()[0] = 9;
        assert_eq!(starts(&first).1, 1);
        assert_eq!((starts(&copy).1, copy.map_readable().unwrap()[0]), (1, 9));
        assert_eq!(first.map_readable().unwrap()[0], 1);
    }

    #[test]
    fn a_buffer_that_is_mapped_for_writing_is_copied_by_sharing() {
        gst::init().unwrap();
        let memory = filled(&FrameAllocator::default(), 7);
        let address = starts(&memory).0;
        let mut buffer = gst::Buffer::new();
        buffer.get_mut().unwrap().append_memory(memory);
        // As a decoder holds it.
        let decoding = buffer.into_mapped_buffer_writable().unwrap();
        let copy = decoding.buffer().copy();
        let map = copy.map_readable().unwrap();
        assert_eq!((map.as_ptr(), map[0]), (address, 7));
        drop(map);
        drop(decoding);
        assert_eq!(copy.map_readable().unwrap().as_ptr(), address);
    }

    #[test]
    fn blocks_of_another_size_are_freed() {
        gst::init().unwrap();
        let allocator = FrameAllocator::default();
        drop(filled(&allocator, 1));
        let free_list = |allocator: &FrameAllocator| {
            let free = lock(&allocator.imp().free_list.0);
            free.iter().map(|bytes| bytes.layout.size()).collect::<Vec<_>>()
        };
        assert_eq!(free_list(&allocator), [SIZE]);
        drop(allocator.alloc(SIZE / 2, None).unwrap());
        assert_eq!(free_list(&allocator), [SIZE / 2]);
    }
}
