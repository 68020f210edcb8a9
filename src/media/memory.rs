//! Memory for decoded pictures that is handed on without a copy while the decoder still looks at it.
//!
//! A decoder keeps the pictures that later ones are built from mapped for writing, though it only reads them by then.
//! GStreamer does not share memory that is mapped so: where the buffer needs a second owner, it copies all of the
//! picture. Here that copy shares the picture's block instead. A block goes back to the shelf when its last owner is
//! gone; memory that is to be filled again while others still look at its block takes another one.
//!
//! So what is mapped for writing has to be filled completely. Only decoders that do so may be given this memory.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::{self, NonNull};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::glib::translate::IntoGlib;
use gstreamer::prelude::*;
use gstreamer::subclass::prelude::*;

/// Free blocks at most: more than a decoder and the frames on their way hold.
const SHELF: usize = 64;

glib::wrapper! {
    /// Allocates memory as described above.
    pub struct PictureMemory(ObjectSubclass<imp::PictureMemory>) @extends gst::Allocator, gst::Object;
}

impl Default for PictureMemory {
    fn default() -> Self {
        glib::Object::new()
    }
}

/// Free blocks, all of one layout.
#[derive(Default)]
struct Shelf(Mutex<Vec<Bytes>>);

/// Bytes on the heap.
struct Bytes {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: nothing else knows of them.
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

impl Shelf {
    fn take(&self, layout: Layout) -> Bytes {
        let mut free = lock(&self.0);
        // Those of an earlier picture size are of no use any more.
        free.retain(|bytes| bytes.layout == layout);
        free.pop().unwrap_or_else(|| Bytes::new(layout))
    }
}

/// One picture's place, for as many memories as look at it.
struct Block {
    bytes: Option<Bytes>,
    start: NonNull<u8>,
    shelf: Arc<Shelf>,
}

// SAFETY: GStreamer's locks keep those who write apart from all others.
unsafe impl Send for Block {}
// SAFETY: as above.
unsafe impl Sync for Block {}

impl Block {
    fn new(shelf: &Arc<Shelf>, layout: Layout) -> Arc<Self> {
        let bytes = shelf.take(layout);
        Arc::new(Self { start: bytes.start, bytes: Some(bytes), shelf: Arc::clone(shelf) })
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let mut free = lock(&self.shelf.0);
        if free.len() < SHELF {
            free.extend(self.bytes.take());
        }
    }
}

/// What GStreamer knows as a memory.
#[repr(C)]
struct Memory {
    head: gst::ffi::GstMemory,
    layout: Layout,
    shelf: Arc<Shelf>,
    hold: Mutex<Hold>,
}

struct Hold {
    block: Arc<Block>,
    maps: usize,
    /// Whether it was made as a copy of another, and so has content to keep.
    copied: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Memory {
    /// `None` where the sizes are out of range.
    fn layout(size: usize, params: &gst::AllocationParams) -> Option<Layout> {
        let all = size.checked_add(params.prefix())?.checked_add(params.padding())?;
        let align = params.align() | gst::Memory::default_alignment();
        Layout::from_size_align(all.max(1), align + 1).ok()
    }

    /// A block to map; another one where this is to be filled anew while others look at what it holds.
    fn map(&self, write: bool) -> NonNull<u8> {
        let mut hold = lock(&self.hold);
        if write && hold.maps == 0 && Arc::strong_count(&hold.block) > 1 {
            let own = Block::new(&self.shelf, self.layout);
            if hold.copied {
                // SAFETY: both blocks have this layout, and nobody else knows of the new one.
                unsafe { ptr::copy_nonoverlapping(hold.block.start.as_ptr(), own.start.as_ptr(), self.layout.size()) };
            }
            hold.block = own;
        }
        hold.maps += 1;
        hold.block.start
    }

    fn unmap(&self) {
        lock(&self.hold).maps -= 1;
    }
}

mod imp {
    use super::*;

    #[derive(Default)]
    pub struct PictureMemory {
        pub(super) shelf: Arc<Shelf>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for PictureMemory {
        const NAME: &'static str = "LivelabelPictureMemory";
        type Type = super::PictureMemory;
        type ParentType = gst::Allocator;

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            let allocator = object.as_ptr().cast::<gst::ffi::GstAllocator>();
            // SAFETY: a GstAllocator is what every subclass' instance begins with.
            unsafe {
                (*allocator).mem_type = c"LivelabelPicture".as_ptr();
                (*allocator).mem_map = Some(map);
                (*allocator).mem_unmap = Some(unmap);
                (*allocator).mem_copy = Some(copy);
                (*allocator).mem_share = Some(copy);
            }
        }
    }

    impl ObjectImpl for PictureMemory {}
    impl GstObjectImpl for PictureMemory {}

    // SAFETY: what `alloc` makes begins with an initialised GstMemory, and `free` takes nothing else.
    unsafe impl AllocatorImpl for PictureMemory {
        unsafe fn alloc(&self, size: usize, params: &gst::AllocationParams) -> *mut gst::ffi::GstMemory {
            let Some(layout) = Memory::layout(size, params) else { return ptr::null_mut() };
            let block = Block::new(&self.shelf, layout);
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
            let frame = Frame {
                flags: params.flags().into_glib(),
                allocator: self.obj().as_ptr().cast(),
                align: params.align(),
                offset: params.prefix(),
                size,
            };
            new(frame, layout, Arc::clone(&self.shelf), Hold { block, maps: 0, copied: false })
        }

        unsafe fn free(&self, memory: *mut gst::ffi::GstMemory) {
            // SAFETY: made by `new` as a box, and its last reference is gone.
            drop(unsafe { Box::from_raw(memory.cast::<Memory>()) });
        }
    }

    /// What a GstMemory says of itself.
    struct Frame {
        flags: gst::ffi::GstMemoryFlags,
        allocator: *mut gst::ffi::GstAllocator,
        align: usize,
        offset: usize,
        size: usize,
    }

    fn new(frame: Frame, layout: Layout, shelf: Arc<Shelf>, hold: Hold) -> *mut gst::ffi::GstMemory {
        // SAFETY: a GstMemory is plain numbers and pointers, which the next call sets.
        let head = unsafe { std::mem::zeroed() };
        let memory = Box::into_raw(Box::new(Memory { head, layout, shelf, hold: Mutex::new(hold) }));
        let Frame { flags, allocator, align, offset, size } = frame;
        // SAFETY: the box stays where it is until `free`.
        unsafe {
            let head = &raw mut (*memory).head;
            gst::ffi::gst_memory_init(head, flags, allocator, ptr::null_mut(), layout.size(), align, offset, size);
        }
        memory.cast()
    }

    /// GStreamer adds the offset.
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

    /// Of all of it, or of a part.
    unsafe extern "C" fn copy(
        memory: *mut gst::ffi::GstMemory,
        offset: isize,
        size: isize,
    ) -> *mut gst::ffi::GstMemory {
        // SAFETY: as above; nobody changes a memory's numbers while it is copied.
        unsafe {
            let head = &(*memory);
            let from = &*memory.cast::<Memory>();
            let left = head.size.saturating_add_signed(offset.saturating_neg());
            let frame = Frame {
                flags: 0,
                allocator: head.allocator,
                align: head.align,
                offset: head.offset.saturating_add_signed(offset),
                size: usize::try_from(size).unwrap_or(left),
            };
            let block = Arc::clone(&lock(&from.hold).block);
            new(frame, from.layout, Arc::clone(&from.shelf), Hold { block, maps: 0, copied: true })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 1 << 16;

    fn filled(allocator: &PictureMemory, value: u8) -> gst::Memory {
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
    fn a_copy_shares_the_picture_until_the_first_is_filled_again() {
        gst::init().unwrap();
        let allocator = PictureMemory::default();
        let mut first = filled(&allocator, 1);
        let copy = first.copy();
        let shared = starts(&first);
        assert_eq!(starts(&copy), shared);

        first.get_mut().unwrap().map_writable().unwrap().fill(2);
        assert_eq!(starts(&copy), (shared.0, 1));
        assert_eq!(starts(&first).1, 2);
        assert_ne!(starts(&first).0, shared.0);

        // Left alone, it stays where it is.
        drop(copy);
        let own = starts(&first).0;
        first.get_mut().unwrap().map_writable().unwrap().fill(3);
        assert_eq!(starts(&first), (own, 3));
        // And the place that is free now is used again.
        assert_eq!(starts(&filled(&allocator, 4)).0, shared.0);
    }

    #[test]
    fn writing_to_a_copy_keeps_its_content_and_that_of_the_first() {
        gst::init().unwrap();
        let first = filled(&PictureMemory::default(), 1);
        let mut copy = first.copy();
        copy.get_mut().unwrap().map_writable().unwrap()[0] = 9;
        assert_eq!(starts(&first).1, 1);
        assert_eq!((starts(&copy).1, copy.map_readable().unwrap()[0]), (1, 9));
        assert_eq!(first.map_readable().unwrap()[0], 1);
    }

    #[test]
    fn a_buffer_whose_memory_is_mapped_for_writing_is_copied_by_sharing() {
        gst::init().unwrap();
        let memory = filled(&PictureMemory::default(), 7);
        let place = starts(&memory).0;
        let mut buffer = gst::Buffer::new();
        buffer.get_mut().unwrap().append_memory(memory);
        // As a decoder holds it.
        let decoding = buffer.into_mapped_buffer_writable().unwrap();
        let handed_on = decoding.buffer().copy();
        let map = handed_on.map_readable().unwrap();
        assert_eq!((map.as_ptr(), map[0]), (place, 7));
        drop(map);
        drop(decoding);
        assert_eq!(handed_on.map_readable().unwrap().as_ptr(), place);
    }

    #[test]
    fn blocks_of_another_size_are_given_up() {
        gst::init().unwrap();
        let allocator = PictureMemory::default();
        drop(filled(&allocator, 1));
        let shelf = |allocator: &PictureMemory| {
            let free = lock(&allocator.imp().shelf.0);
            free.iter().map(|bytes| bytes.layout.size()).collect::<Vec<_>>()
        };
        assert_eq!(shelf(&allocator), [SIZE]);
        drop(allocator.alloc(SIZE / 2, None).unwrap());
        assert_eq!(shelf(&allocator), [SIZE / 2]);
    }
}
