//===----------------------------------------------------------------------===//
// Python's random numbers: known answers.
//===----------------------------------------------------------------------===//

import Testing

@testable import Conformance

@Suite struct MersenneTwisterTests {
    /// The authors' published output (mt19937ar.out): init_by_array of 0x123, 0x234, 0x345, 0x456; and the 10,000th
    /// number of `std::mt19937`'s default seed, which the C++ standard names.
    @Test func publishedVectors() {
        var twister = MersenneTwister(key: [0x123, 0x234, 0x345, 0x456])
        #expect(
            (0..<5).map { _ in twister.nextWord() } == [
                1_067_595_299, 955_945_823, 477_289_528, 4_107_218_783, 4_228_976_476,
            ])
        var standard = MersenneTwister(word: 5489)
        for _ in 0..<9999 { _ = standard.nextWord() }
        #expect(standard.nextWord() == 4_123_659_995)
    }

    /// `random.seed(s)` of CPython 3: getrandbits(32), random(), randint.
    @Test func pythonsSeeds() {
        func words(_ seed: UInt64, _ count: Int) -> [UInt32] {
            var twister = MersenneTwister(pythonSeed: seed)
            return (0..<count).map { _ in twister.nextWord() }
        }
        #expect(words(42, 4) == [2_746_317_213, 478_163_327, 107_420_369, 3_184_935_163])
        #expect(words(0, 3) == [3_626_764_237, 1_654_615_998, 3_255_389_356])
        #expect(words(1 << 40 + 5, 3) != words(5, 3))
        #expect(words((1 << 40) + 5, 3) == [2_166_296_868, 2_220_160_828, 1_153_647_273])
        var units = MersenneTwister(pythonSeed: 42)
        #expect(units.nextUnit() == 0.6394267984578837)
        #expect(units.nextUnit() == 0.025010755222666936)
    }

    @Test func drawsBelowABound() {
        var twister = MersenneTwister(pythonSeed: 7)
        #expect(
            (0..<20).map { _ in twister.next(below: 16) }
                == [10, 4, 12, 1, 2, 3, 11, 1, 6, 1, 2, 13, 13, 2, 7, 2, 13, 1, 3, 7])
        #expect((0..<10).map { _ in twister.next(below: 3) } == [2, 2, 2, 0, 2, 2, 1, 0, 0, 0])
        // In the middle of a stream, as after two thousand gaps.
        var later = MersenneTwister(pythonSeed: 42)
        for _ in 0..<2000 { _ = later.nextUnit() }
        #expect(
            (0..<20).map { _ in later.next(below: 4) }
                == [1, 1, 3, 2, 2, 0, 1, 3, 3, 0, 2, 3, 2, 3, 3, 1, 2, 3, 1, 3])
    }
}
