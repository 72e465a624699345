//! Files of the host.

use core::ffi::CStr;

use semihosting::fs::File;
use semihosting::io::Read;

/// Reads a whole file into the buffer; ends the program if it is not there or does not fit.
pub fn read<'b>(path: &CStr, buffer: &'b mut [u8]) -> &'b [u8] {
    let mut file = File::open(path).expect("the file is there");
    let mut len = 0;
    loop {
        assert!(len < buffer.len(), "the file is too large");
        match file.read(&mut buffer[len..]).expect("the file can be read") {
            0 => return &buffer[..len],
            read => len += read,
        }
    }
}
