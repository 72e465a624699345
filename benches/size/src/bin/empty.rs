//! Nothing but the outside world: what it takes is not the library's.

#![no_std]
#![no_main]

use size::World;

#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    let mut world = World;
    let mut buffer = [0; 4];
    loop {
        world.now();
        world.read(&mut buffer);
        world.write(&buffer);
        world.command();
    }
}
