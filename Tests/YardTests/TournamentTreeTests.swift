import Testing

@testable import Yard

@Suite struct TournamentTreeTests {
    @Test(arguments: [1, 2, 7, 8, 9, 64, 65, 513, 4097])
    func agreesWithScanning(count: Int) {
        let tree = TournamentTree(count: count)
        defer { tree.deallocate() }
        var keys = [Int64](repeating: .max, count: count)
        #expect(tree.minimum == .max)
        var dice = SeededChoice(seed: UInt64(count))
        for round in 0..<3000 {
            let player = dice.next(below: count)
            // Few different keys, so that ties are common.
            let key = dice.next(below: 5) == 0 ? Int64.max : Int64(dice.next(below: 50)) - 10
            tree.set(player, to: key)
            keys[player] = key
            let smallest = keys.min() ?? .max
            #expect(tree.minimum == smallest, "count \(count), round \(round)")
            if smallest != .max {
                #expect(tree.winner == keys.firstIndex(of: smallest), "count \(count), round \(round)")
            }
            #expect(tree[player] == key)
        }
    }
}
