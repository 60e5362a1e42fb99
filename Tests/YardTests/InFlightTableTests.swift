import Testing
import Workload

@testable import Yard

@Suite struct InFlightTableTests {
    @Test(arguments: 1...8) func agreesWithADictionary(seed: Int) {
        var dice = SeededChoice(seed: UInt64(seed))
        var table = InFlightTable(initialCapacity: 0, keepsRequests: true)
        var oracle: [UInt64: Int32] = [:]
        // Numbers that collide: few distinct ones, some far apart.
        let numbers = (0..<300).map { UInt64($0) &* (seed.isMultiple(of: 2) ? 1 : 0x1_0000_0001) }
        for round in 0..<6000 {
            let number = numbers[dice.next(below: numbers.count)]
            switch dice.next(below: 4) {
            case 0, 1:
                let place = Int32(dice.next(below: 9)) - 3
                let request = Request(id: number, arrivalNanoseconds: 7, promptTokens: 3, outputTokens: 4)
                let isNew = oracle[number] == nil
                #expect(table.insert(request, tokens: 7, place: place) == isNew, "seed \(seed), round \(round)")
                if isNew { oracle[number] = place }
            case 2:
                #expect(
                    table.remove(number)?.place == oracle.removeValue(forKey: number), "seed \(seed), round \(round)")
            default:
                #expect(table.find(number)?.place == oracle[number], "seed \(seed), round \(round)")
                if oracle[number] != nil {
                    table.setPlace(of: number, to: 5)
                    oracle[number] = 5
                }
            }
            #expect(table.count == oracle.count)
        }
        let onFive = table.requests(on: 5).map(\.id)
        #expect(onFive == oracle.filter { $0.value == 5 }.keys.sorted())
    }
}
