// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package framepointer

import (
	"bytes"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Bounds on what is searched: the data of a program for a pointer, and what the
// loader would change in it.
const (
	maxData   = 256 << 20
	pointers  = 64 // of runtime.moduledata, up to the start of the text
	headerEnd = 2  // from the last address of the text to its start
)

// An image is the executable of a program, as it is in memory.
type image struct {
	arch     string // as in GOARCH
	tables   []section
	data     []section
	sections []section // all that has an address
	// relocated returns the pointers that the loader writes: by address, those
	// from the first one on that equals an address. nil where there are none.
	relocated func(address uint64) ([]relocation, error)
}

type section struct {
	name string
	from uint64
	size int64
	at   io.ReaderAt // from the start of the section
}

type relocation struct{ at, value uint64 }

// errForeign is returned for what is no executable that is known.
var errForeign = errors.New("the file is no executable in the format ELF, Mach-O or PE, or is packed")

// open reads the sections of an executable in a format of an operating system.
func open(file io.ReaderAt, format string) (*image, error) {
	switch format {
	case "macho":
		return openMachO(file)
	case "pe":
		return openPE(file)
	}
	return openELF(file)
}

// formatOf returns the format of the executables of an operating system.
func formatOf(goos string) string {
	switch goos {
	case "darwin", "ios":
		return "macho"
	case "windows":
		return "pe"
	}
	return "elf"
}

// sniff returns the format of a file.
func sniff(file io.ReaderAt) (string, error) {
	magic := make([]byte, 4)
	if _, err := file.ReadAt(magic, 0); err != nil {
		return "", errForeign
	}
	switch {
	case string(magic) == elf.ELFMAG:
		return "elf", nil
	case binary.LittleEndian.Uint32(magic) == macho.Magic64:
		return "macho", nil
	case string(magic[:2]) == "MZ":
		return "pe", nil
	}
	return "", errForeign
}

func openELF(file io.ReaderAt) (*image, error) {
	f, err := elf.NewFile(file)
	if err != nil {
		return nil, fmt.Errorf("ELF: %w", err)
	}
	img := &image{arch: map[elf.Machine]string{elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64"}[f.Machine]}
	for _, s := range f.Sections {
		if s.Type != elf.SHT_PROGBITS || s.Addr == 0 || s.Flags&elf.SHF_COMPRESSED != 0 {
			continue
		}
		sec := section{s.Name, s.Addr, int64(s.FileSize), s.ReaderAt}
		img.sections = append(img.sections, sec)
		switch {
		case s.Name == ".gopclntab" || s.Name == ".data.rel.ro.gopclntab":
			img.tables = append(img.tables, sec)
		case s.Flags&elf.SHF_WRITE != 0:
			img.data = append(img.data, sec)
		}
	}
	relative := map[string]uint32{"amd64": uint32(elf.R_X86_64_RELATIVE), "arm64": uint32(elf.R_AARCH64_RELATIVE)}[img.arch]
	if s := f.SectionByType(elf.SHT_RELA); s != nil && s.Name == ".rela.dyn" || s != nil && s.Name == ".rela" {
		img.relocated = func(address uint64) ([]relocation, error) { return relocations(s, relative, address) }
	}
	return img, nil
}

// relocations returns the pointers from the first on that the loader makes
// point to an address.
func relocations(s *elf.Section, relative uint32, address uint64) (found []relocation, err error) {
	if s.FileSize > maxData {
		return nil, errors.New("ELF: the relocations are too many")
	}
	const entry = 24
	var first uint64
	err = inChunks(s.ReaderAt, int64(s.FileSize)/entry*entry, entry*4096, func(data []byte) {
		for ; len(data) >= entry; data = data[entry:] {
			at, info, value := binary.LittleEndian.Uint64(data), binary.LittleEndian.Uint64(data[8:]), binary.LittleEndian.Uint64(data[16:])
			if uint32(info) != relative {
				continue
			}
			if first == 0 && value == address {
				first = at
			}
			if first != 0 && at >= first && at < first+8*pointers {
				found = append(found, relocation{at, value})
			}
		}
	})
	return found, err
}

// inChunks reads size bytes and passes them on, a chunk at a time.
func inChunks(at io.ReaderAt, size, chunk int64, pass func([]byte)) error {
	buf := make([]byte, chunk)
	for from := int64(0); from < size; from += chunk {
		n := min(chunk, size-from)
		if _, err := at.ReadAt(buf[:n], from); err != nil {
			return err
		}
		pass(buf[:n])
	}
	return nil
}

func openMachO(file io.ReaderAt) (*image, error) {
	f, err := macho.NewFile(file)
	if err != nil {
		return nil, fmt.Errorf("Mach-O: %w", err)
	}
	img := &image{arch: map[macho.Cpu]string{macho.CpuAmd64: "amd64", macho.CpuArm64: "arm64"}[f.Cpu]}
	for _, s := range f.Sections {
		if s.Addr == 0 || s.Offset == 0 {
			continue
		}
		sec := section{s.Name, s.Addr, int64(s.Size), s.ReaderAt}
		img.sections = append(img.sections, sec)
		switch {
		case s.Name == "__gopclntab":
			img.tables = append(img.tables, sec)
		case s.Seg != "__TEXT":
			img.data = append(img.data, sec)
		}
	}
	return img, nil
}

func openPE(file io.ReaderAt) (*image, error) {
	f, err := pe.NewFile(file)
	if err != nil {
		return nil, fmt.Errorf("PE: %w", err)
	}
	optional, ok := f.OptionalHeader.(*pe.OptionalHeader64)
	if !ok {
		return nil, errForeign
	}
	img := &image{arch: map[uint16]string{pe.IMAGE_FILE_MACHINE_AMD64: "amd64", pe.IMAGE_FILE_MACHINE_ARM64: "arm64"}[f.Machine]}
	for _, s := range f.Sections {
		if s.VirtualAddress == 0 || s.Size == 0 {
			continue
		}
		sec := section{s.Name, optional.ImageBase + uint64(s.VirtualAddress), int64(min(s.Size, s.VirtualSize)), s.ReaderAt}
		img.sections = append(img.sections, sec)
		if s.Characteristics&pe.IMAGE_SCN_MEM_EXECUTE == 0 {
			img.data = append(img.data, sec)
		}
	}
	for _, s := range img.data {
		found, err := s.findTables()
		if err != nil {
			return nil, fmt.Errorf("PE: %w", err)
		}
		img.tables = append(img.tables, found...)
	}
	return img, nil
}

// findTables returns the parts of a section that begin as a function table
// does. The section of a PE file has other things too.
func (s section) findTables() (found []section, err error) {
	if s.size > maxData {
		return nil, errors.New("the data is too large")
	}
	magic := binary.LittleEndian.AppendUint32(nil, tableMagic)
	from := int64(0)
	err = inChunks(s.at, s.size, chunkSize, func(data []byte) {
		for i := 0; ; i += 8 {
			next := bytes.Index(data[i:], magic)
			if next < 0 {
				break
			}
			if i += next; i%8 != 0 {
				i = i / 8 * 8
				continue
			}
			if i+8 <= len(data) && isTable(data[i:]) {
				offset := from + int64(i)
				found = append(found, section{s.name, s.from + uint64(offset), s.size - offset, io.NewSectionReader(s.at, offset, s.size-offset)})
			}
		}
		from += int64(len(data))
	})
	return found, err
}

// program returns the function table and the address of the text.
func (img *image) program() (*table, uint64, error) {
	err := errors.New("the executable has no function table of Go")
	for _, s := range img.tables {
		var t *table
		if t, err = newTable(s.at, s.size); err != nil {
			continue
		}
		var text uint64
		if text, err = img.text(s.from, t); err == nil {
			return t, text, nil
		}
	}
	return nil, 0, err
}

// text returns the address of the text, to which everything in the function
// table is relative. Only runtime.moduledata has it, whose first field points
// to the table; further on come the first and the last address of the text and
// its start, which must fit what the table says.
func (img *image) text(address uint64, t *table) (uint64, error) {
	first, last, err := t.span()
	if err != nil {
		return 0, fmt.Errorf("function table: %w", err)
	}
	fits := func(words []uint64) (uint64, bool) {
		for i := 0; i+headerEnd < len(words); i++ {
			if text := words[i+headerEnd]; text != 0 && words[i] == text+first && words[i+1] == text+last {
				return text, true
			}
		}
		return 0, false
	}
	if img.relocated != nil {
		found, err := img.relocated(address)
		if err != nil {
			return 0, err
		}
		if text, ok := fits(inOrder(found)); ok {
			return text, nil
		}
	}
	for _, s := range img.data {
		if text, ok := s.after(address, fits); ok {
			return text, nil
		}
	}
	return 0, errors.New("the start of the text is not known")
}

// inOrder returns the pointers in a row of memory.
func inOrder(found []relocation) []uint64 {
	if len(found) == 0 {
		return nil
	}
	words := make([]uint64, pointers)
	for _, r := range found {
		words[(r.at-found[0].at)/8%pointers] = r.value
	}
	return words
}

// after asks about the words that follow a pointer to an address, wherever
// there is one.
func (s section) after(address uint64, fits func([]uint64) (uint64, bool)) (text uint64, ok bool) {
	if s.size > maxData {
		return 0, false
	}
	pointer := binary.LittleEndian.AppendUint64(nil, address)
	from := int64(0)
	_ = inChunks(s.at, s.size, chunkSize, func(data []byte) {
		for i := 0; !ok; i += 8 {
			next := bytes.Index(data[i:], pointer)
			if next < 0 {
				break
			}
			i += next
			if words, err := s.words(from+int64(i), pointers); err == nil {
				text, ok = fits(words)
			}
			if i+8 > len(data) {
				break
			}
		}
		from += int64(len(data))
	})
	return text, ok
}

// words returns at most n words of a section.
func (s section) words(offset int64, n int) ([]uint64, error) {
	data := make([]byte, min(8*int64(n), (s.size-offset)/8*8))
	if _, err := s.at.ReadAt(data, offset); err != nil {
		return nil, err
	}
	words := make([]uint64, len(data)/8)
	for i := range words {
		words[i] = binary.LittleEndian.Uint64(data[8*i:])
	}
	return words, nil
}

// code reads n bytes at an address.
func (img *image) code(address uint64, n int) ([]byte, error) {
	i := slices.IndexFunc(img.sections, func(s section) bool {
		return s.from <= address && address+uint64(n) <= s.from+uint64(s.size)
	})
	if i < 0 {
		return nil, fmt.Errorf("the code at %#x is not in the file", address)
	}
	code := make([]byte, n, n+maxInstruction)
	_, err := img.sections[i].at.ReadAt(code, int64(address-img.sections[i].from))
	return code, err
}
