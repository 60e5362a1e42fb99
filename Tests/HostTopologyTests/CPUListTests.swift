import Testing

@testable import HostTopology

@Suite struct CPUListTests {
    @Test(arguments: [
        ("0-3,8,10-11\n", [0, 1, 2, 3, 8, 10, 11]), ("", []), ("\n", []), ("7", [7]), ("3,1-2,2", [1, 2, 3]),
    ])
    func readsWhatTheKernelWrites(text: String, numbers: [Int]) {
        #expect(CPUList.parse(text) == numbers)
        #expect(CPUList.parse(CPUList.format(numbers)) == numbers)
    }

    @Test(arguments: ["a", "1-", "-1", "3-1", "1,,2", "1 2", "0-9999999", "1-2-3"])
    func refusesOtherText(text: String) {
        #expect(CPUList.parse(text) == nil)
    }

    @Test func writesRanges() {
        #expect(CPUList.format([5, 1, 2, 3, 9]) == "1-3,5,9")
        #expect(CPUList.format([]) == "")
    }
}
