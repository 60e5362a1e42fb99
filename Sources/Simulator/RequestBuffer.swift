//===----------------------------------------------------------------------===//
// Requests on their way from one front end to one cell, for the length of a window.
//===----------------------------------------------------------------------===//

import Workload

/// Grows to the most that a window has needed, and is emptied at no cost. Written by a front end's thread in one half
/// of a window, read by a cell's in the other.
///
/// Its owner frees it with `deallocate()`.
struct RequestBuffer {
    private(set) var requests: UnsafeMutablePointer<Request>
    private(set) var count = 0
    private var capacity: Int

    init() {
        capacity = 4
        requests = .allocate(capacity: capacity)
    }

    func deallocate() { requests.deallocate() }

    mutating func append(_ request: Request) {
        if count == capacity { grow() }
        (requests + count).initialize(to: request)
        count += 1
    }

    mutating func removeAll() { count = 0 }

    @inline(never)
    private mutating func grow() {
        let larger = UnsafeMutablePointer<Request>.allocate(capacity: 2 * capacity)
        larger.initialize(from: requests, count: count)
        requests.deallocate()
        requests = larger
        capacity *= 2
    }
}
