//===----------------------------------------------------------------------===//
// Sending related requests to the same place.
//===----------------------------------------------------------------------===//

import Workload

/// What makes requests related, and where a key belongs.
enum Affinity {
    /// What related requests share; nil for a request that is related to none.
    static func key(of request: Request) -> UInt64? {
        if request.prefix.session != 0 { return SeededChoice.mix(request.prefix.session) }
        if let hashes = request.prefix.blockHashes, request.prefix.blockHashCount > 0 {
            return SeededChoice.mix(hashes[0])
        }
        return nil
    }

    /// The key's `attempt`-th place among `places`, by jump consistent hashing (Lamping and Veach, 2014): one more
    /// place takes only its share of the keys from the others.
    static func place(of key: UInt64, attempt: Int, places: Int) -> Int {
        var key = SeededChoice.mix(key &+ UInt64(attempt) &* 0x9E37_79B9_7F4A_7C15)
        var place: Int64 = -1
        var next: Int64 = 0
        while next < Int64(places) {
            place = next
            key = key &* 2_862_933_555_777_941_757 &+ 1
            next = Int64(Double(place + 1) * (Double(Int64(1) << 31) / Double((key >> 33) + 1)))
        }
        return Int(place)
    }
}
