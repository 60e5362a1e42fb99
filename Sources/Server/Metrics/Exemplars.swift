//===----------------------------------------------------------------------===//
// Which trace last fell into each bucket of a histogram.
//===----------------------------------------------------------------------===//

import Foundation
import Synchronization

/// One observation with the trace that it belongs to.
struct Exemplar: Sendable, Equatable {
    var traceID: String
    var value: Double
    var unixSeconds: Double
}

/// The last exemplar of each bucket. Only requests that came with a trace touch it.
final class ExemplarShelf: Sendable {
    private let bounds: [Double]
    private let shelf: Mutex<[Exemplar?]>

    init(bounds: [Double]) {
        self.bounds = bounds
        shelf = Mutex(Array(repeating: nil, count: bounds.count + 1))
    }

    func keep(_ value: Double, traceID: String, unixSeconds: Double = Date().timeIntervalSince1970) {
        let bucket = bounds.firstIndex { value <= $0 } ?? bounds.count
        shelf.withLock {
            $0[bucket] = Exemplar(traceID: traceID, value: value, unixSeconds: unixSeconds)
        }
    }

    var exemplars: [Exemplar?] { shelf.withLock { $0 } }

    /// The latest of several shelves, bucket by bucket.
    static func latest(_ shelves: [ExemplarShelf]) -> [Exemplar?] {
        guard var best = shelves.first?.exemplars else { return [] }
        for shelf in shelves.dropFirst() {
            for (bucket, exemplar) in shelf.exemplars.enumerated() {
                if let exemplar, exemplar.unixSeconds > best[bucket]?.unixSeconds ?? -1 { best[bucket] = exemplar }
            }
        }
        return best
    }
}
