//===----------------------------------------------------------------------===//
// Several sources as one, in order of arrival.
//===----------------------------------------------------------------------===//

/// Merges sources by arrival time (ties go to the earlier source) and numbers the requests anew.
final class MixedSource: RequestSource {
    private let sources: [any RequestSource]
    private var heads: [Request?] = []
    private let limit: Int
    private var accepted = 0

    init(_ sources: [any RequestSource], limit: Int?) throws(WorkloadError) {
        self.sources = sources
        self.limit = limit ?? .max
        for source in sources { heads.append(try source.next()) }
    }

    func next() throws(WorkloadError) -> Request? {
        guard accepted < limit else { return nil }
        var earliest: Int?
        for (index, head) in heads.enumerated() {
            guard let head else { continue }
            if let present = earliest, heads[present]!.arrivalNanoseconds <= head.arrivalNanoseconds { continue }
            earliest = index
        }
        guard let earliest, var request = heads[earliest] else { return nil }
        heads[earliest] = try sources[earliest].next()
        request.id = UInt64(accepted)
        accepted += 1
        return request
    }

    var reading: ReadingCounts {
        var counts = ReadingCounts()
        for source in sources {
            counts.skipped += source.reading.skipped
            counts.raisedToOneToken += source.reading.raisedToOneToken
            counts.shortened += source.reading.shortened
            counts.firstSkipped = counts.firstSkipped ?? source.reading.firstSkipped
        }
        counts.accepted = accepted
        return counts
    }
}
