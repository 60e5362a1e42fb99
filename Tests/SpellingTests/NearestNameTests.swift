import Testing

@testable import Spelling

@Suite struct NearestNameTests {
    @Test(arguments: [
        ("kitten", "sitting", 3), ("", "abc", 3), ("ab", "ba", 1), ("same", "same", 0), ("trn2", "trn3", 1),
        ("ca", "abc", 3),
    ])
    func editDistanceCountsEditsBothWays(first: String, second: String, distance: Int) {
        #expect(editDistance(first, second) == distance)
        #expect(editDistance(second, first) == distance)
    }

    @Test func theNearestIsFoundWhateverTheCase() {
        let keys = ["max_num_seqs", "max_model_len", "precision", "parallelism"]
        #expect(nearestName(to: "max_num_seq", among: keys) == "max_num_seqs")
        #expect(nearestName(to: "PRECISON", among: keys) == "precision")
        #expect(nearestName(to: "paralellism", among: keys) == "parallelism")
    }

    @Test func aNameFarFromAllIsMatchedByContainmentOrNotAtAll() {
        #expect(
            nearestName(to: "trn2", among: ["trn2.48xlarge-ultraserver", "p5en.48xlarge"])
                == "trn2.48xlarge-ultraserver")
        #expect(nearestName(to: "zzzzzzzz", among: ["model", "stack"]) == nil)
        #expect(nearestName(to: "x", among: [String]()) == nil)
        #expect(suggestion(for: "zzzzzzzz", among: ["model", "stack"]) == "; valid: model, stack")
    }

    @Test func theFirstOfEqualsWins() {
        #expect(nearestName(to: "ac", among: ["ab", "ad"]) == "ab")
    }
}
