import Synchronization
import Testing

@testable import HostTopology

@Suite struct PinnedThreadTests {
    @Test func runsWhereItWasPinned() throws {
        for cpu in HostTopology.current().cpus.prefix(4) {
            let seen = Mutex<Int?>(nil)
            let affinity = Mutex<[Int]?>(nil)
            try PinnedThread(name: "test", placement: ThreadPlacement(cpus: [cpu], node: 0)) {
                seen.withLock { $0 = PinnedThread.currentCPU }
                affinity.withLock { $0 = PinnedThread.currentAffinity }
            }.join()
            #expect(seen.withLock { $0 } == cpu)
            #expect(affinity.withLock { $0 } == [cpu])
        }
    }

    @Test func aThreadWithoutAPlaceRunsAnywhere() throws {
        let here = PinnedThread.currentAffinity
        let affinity = Mutex<[Int]?>(nil)
        try PinnedThread(name: "a name that is far too long for the kernel", placement: nil) {
            affinity.withLock { $0 = PinnedThread.currentAffinity }
        }.join()
        #expect(affinity.withLock { $0 } == here)
    }

    @Test func aProcessorThatIsNotThereIsAnError() {
        let ran = Mutex(false)
        #expect {
            try PinnedThread(name: "nowhere", placement: ThreadPlacement(cpus: [4000], node: 0)) {
                ran.withLock { $0 = true }
            }
        } throws: { error in
            "\(error)".contains("bind thread nowhere to CPU 4000")
        }
        #expect(ran.withLock { $0 } == false)
    }
}
